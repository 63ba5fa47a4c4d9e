import { Command } from 'commander';

import { type ConfigInputs, effectiveSettings, loadConfig } from '../config/load-config.ts';
import { CONFIG_FILE_DEFAULT } from '../config/schema.ts';
import { CollectorError } from '../shared/errors.ts';
import { exitOnUsageError, FAILURE_EXIT_CODE } from './options.ts';

/** What a check says and how it ends. */
export interface CheckOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `telemetry-collector config ...` */
export function configCommand(): Command {
  const check = new Command('check')
    .description('check a configuration file without starting the service')
    .argument('[FILE]', 'configuration file', CONFIG_FILE_DEFAULT)
    .action((file: string) => {
      const { exitCode, stdout, stderr } = checkConfig(file);
      process.stdout.write(stdout);
      process.stderr.write(stderr);
      process.exitCode = exitCode;
    });
  return exitOnUsageError(
    new Command('config').description('work with the configuration').addCommand(exitOnUsageError(check)),
  );
}

/** Checks `file` together with the environment, as the service would read them. */
export function checkConfig(file: string, inputs: ConfigInputs = {}): CheckOutcome {
  try {
    const loaded = loadConfig({ ...inputs, flags: { config: file } });
    const rows = effectiveSettings(loaded).map(({ path, value, source }) => [path, value, source]);
    return { exitCode: 0, stdout: `${file}: ok\n\n${table(rows)}`, stderr: '' };
  } catch (error) {
    if (!(error instanceof CollectorError)) throw error;
    return { exitCode: FAILURE_EXIT_CODE, stdout: '', stderr: `${error.message}\n` };
  }
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}
