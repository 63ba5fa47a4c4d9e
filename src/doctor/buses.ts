import { accessSync, constants, statSync } from 'node:fs';
import { LOG_ENDING, type LogUrl } from '../bus/bus-url.ts';
import { logBeginningOf, logFilesOf } from '../bus/log/log-file.ts';
import { LINE_FORMS } from '../bus/log/log-parser.ts';
import type { BusConfig } from '../config/schema.ts';
import { errorCode, errorMessage } from '../shared/errors.ts';
import { checkCanBus } from './can-bus.ts';
import { bytesText, type Check, ok, problem, warning } from './check.ts';

export async function checkBus({ spec }: BusConfig, isCollectorRunning: boolean): Promise<Check[]> {
  switch (spec.kind) {
    case 'socketcan':
      return await checkCanBus(spec, isCollectorRunning);
    case 'candump':
    case 'asc':
      return [checkLog(spec)];
    case 'sim':
      return [ok('simulation', 'made up: no real vehicle')];
  }
}

function checkLogFolder({ kind, path }: LogUrl): Check {
  const files = logFilesOf(path, kind);
  if (files.length > 0) return ok('log files', `${files.length} in ${path}`);
  const ending = LOG_ENDING[kind];
  return problem(
    'log files',
    `${path} is a folder without logs`,
    `files that end with .${ending}, .${ending}.zst or .${ending}.gz`,
  );
}

function checkLog(spec: LogUrl): Check {
  const { kind, path } = spec;
  const expected = kind === 'candump' ? 'a log of candump -l' : "a log in Vector's ASC format";
  try {
    accessSync(path, constants.R_OK);
    const stats = statSync(path);
    if (stats.isDirectory()) return checkLogFolder(spec);
    if (stats.isFile() && stats.size === 0) {
      return warning('log file', `${path} is empty`, expected, 'Record one: candump -l can0');
    }
    const { firstFrameUs, linesRead, brokenExample } = logBeginningOf(path, kind);
    if (firstFrameUs !== null) return ok('log file', `${path}, ${bytesText(stats.size)}`);
    const example = brokenExample === null ? '' : `, such as ${JSON.stringify(brokenExample)}`;
    const lines = linesRead === 0 ? ': it is torn or damaged' : ` in its first ${linesRead} lines${example}`;
    return problem(
      'log file',
      `${path} has no frame${lines}`,
      LINE_FORMS[kind],
      kind === 'candump'
        ? 'Record with candump -l can0, or candump -L can0 > drive.log'
        : 'See that it is no other log.',
    );
  } catch (error) {
    if (errorCode(error) === 'ENOENT') {
      return problem(
        'log file',
        `there is no ${path}`,
        expected,
        'A relative path starts at the working directory, in a configuration file at its folder.',
      );
    }
    if (errorCode(error) === 'EACCES') {
      return problem('log file', `${path} may not be read`, 'to read it', `sudo chmod a+r ${path}`);
    }
    return problem('log file', errorMessage(error), expected);
  }
}
