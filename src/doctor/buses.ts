import { accessSync, constants, statSync } from 'node:fs';
import { CandumpParser } from '../bus/candump-parser.ts';
import { logFilesOf } from '../bus/log-file.ts';
import type { BusConfig } from '../config/schema.ts';
import { errorCode, errorMessage } from '../shared/errors.ts';
import { checkCanBus } from './can-bus.ts';
import { bytesText, type Check, ok, problem, warning } from './check.ts';

export async function checkBus({ spec }: BusConfig, isCollectorRunning: boolean): Promise<Check[]> {
  switch (spec.kind) {
    case 'socketcan':
      return await checkCanBus(spec, isCollectorRunning);
    case 'candump':
      return [checkLog(spec.path)];
    case 'sim':
      return [ok('simulation', 'made up: no real vehicle')];
  }
}

function checkLogFolder(path: string): Check {
  const files = logFilesOf(path, 'log', () => new CandumpParser());
  if (files.length > 0) return ok('log files', `${files.length} in ${path}`);
  return problem(
    'log files',
    `${path} is a folder without logs`,
    'files that end with .log, .log.zst or .log.gz',
  );
}

function checkLog(path: string): Check {
  try {
    accessSync(path, constants.R_OK);
    const stats = statSync(path);
    if (stats.isDirectory()) return checkLogFolder(path);
    if (stats.isFile() && stats.size === 0) {
      return warning('log file', `${path} is empty`, 'a log of candump -l', 'Record one: candump -l can0');
    }
    return ok('log file', `${path}, ${bytesText(stats.size)}`);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') {
      return problem(
        'log file',
        `there is no ${path}`,
        'a log of candump -l',
        'A relative path starts at the working directory, in a configuration file at its folder.',
      );
    }
    if (errorCode(error) === 'EACCES') {
      return problem('log file', `${path} may not be read`, 'to read it', `sudo chmod a+r ${path}`);
    }
    return problem('log file', errorMessage(error), 'a log of candump -l');
  }
}
