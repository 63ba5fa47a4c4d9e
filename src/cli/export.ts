import { Command, InvalidArgumentError, Option } from 'commander';
import { parseTime } from '../api/time-parameter.ts';
import { loadConfig } from '../config/load-config.ts';
import { parseSignalPattern } from '../protocol/signal-pattern.ts';
import { ConfigError, errorMessage } from '../shared/errors.ts';
import { EXPORT_FORMATS, type ExportFormat, type ExportOptions } from './export-options.ts';
import { exitOnUsageError } from './options.ts';

interface Flags {
  readonly db?: string;
  readonly config?: string;
  readonly from?: number;
  readonly to?: number;
  readonly signal?: readonly string[];
  readonly bus?: string;
  readonly format?: ExportFormat;
  readonly output?: string;
}

/** `telemetry-collector export ...` */
export function exportCommand(): Command {
  const time = (name: string) => (text: string) => usable(() => parseTime(name, text));
  const command = new Command('export')
    .description('write the samples of the history, also while the service runs')
    .option('--db <FILE>', 'database to read (default: the one that the service would use)')
    .option('--config <FILE>', 'configuration file that names the database')
    .addOption(
      new Option('--from <T>', 'samples from then on: epoch seconds or ISO 8601 (UTC)').argParser(
        time('--from'),
      ),
    )
    .addOption(new Option('--to <T>', 'samples before then').argParser(time('--to')))
    .addOption(
      new Option(
        '--signal <TYPE/ID/COMMAND>',
        'only this signal, as MOTORS/MOTOR_LEFT_REAR/RPM or MOTORS/*/RPM; repeatable',
      ).argParser((signal: string, signals: readonly string[] = []) => {
        usable(() => parseSignalPattern(signal));
        return [...signals, signal];
      }),
    )
    .option('--bus <NAME>', 'only what this bus brought')
    .addOption(
      new Option(
        '--format <FORMAT>',
        "how samples are written (default: as FILE's ending says, else csv)",
      ).choices(EXPORT_FORMATS),
    )
    .option('--output <FILE>', 'file to write (default: the standard output); parquet needs one')
    .addHelpText(
      'after',
      `
Examples:
  export --signal 'MOTORS/*/RPM' --from 2026-01-01T12:00 --to 2026-01-01T13:00 > rpm.csv
  export --output drive.parquet`,
    )
    .action(async () => {
      const flags: Flags = command.opts();
      const { exportSamples } = await import('./export-samples.ts');
      await exportSamples(exportOptions(flags));
    });
  return exitOnUsageError(command);
}

/** What `parse` gives; what it throws is a mistake on the command line. */
function usable<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
}

/** Throws ConfigError where the flags don't go together. */
function exportOptions(flags: Flags): ExportOptions {
  const { db, config, from, to, signal = [], bus, output } = flags;
  if (from !== undefined && to !== undefined && from >= to) {
    throw new ConfigError('EXPORT_INVALID', 'Expected --from to be before --to.');
  }
  const format = flags.format ?? EXPORT_FORMATS.find((ending) => output?.endsWith(`.${ending}`)) ?? 'csv';
  if (format === 'parquet' && output === undefined) {
    throw new ConfigError('EXPORT_INVALID', 'Parquet needs a file to go to: give one with --output FILE.');
  }
  return {
    databasePath: loadConfig({ flags: { db, config } }).config.history.path,
    fromUs: from ?? Number.NEGATIVE_INFINITY,
    toUs: to ?? Number.POSITIVE_INFINITY,
    signals: signal,
    bus,
    format,
    outputPath: output ?? null,
  };
}
