import { Command } from 'commander';
import { loadConfig } from '../config/load-config.ts';
import { ConfigError } from '../shared/errors.ts';
import { addSettingOptions, exitOnUsageError, settingFlags } from './options.ts';

/** `telemetry-collector record ...` */
export function recordCommand(): Command {
  const command = new Command('record')
    .description('record every frame of the buses as candump logs, without history and API')
    .addHelpText(
      'after',
      `
It ends with Ctrl+C, when logs that are replayed have ended, or when one can't be read. The service records as well, with the same
settings: see recording in docs/configuration.md.

Examples:
  record --bus socketcan:can0 --recording /var/log/can
  record --bus 'candump:/var/log/can?speed=max' --recording drive --recording-compress none`,
    )
    .action(async () => {
      const { config, sources } = loadConfig({ flags: settingFlags(command) });
      const { path } = config.recording;
      if (path === null) {
        throw new ConfigError(
          'RECORDING_INVALID',
          'A recording needs a folder: give one with --recording FOLDER.',
        );
      }
      const { recordBuses } = await import('./record-buses.ts');
      // The service may be running, and the default log file is its own.
      const log = sources['log.file'] === 'default' ? { ...config.log, file: null } : config.log;
      process.exitCode = await recordBuses({ ...config, log }, path);
    });
  return exitOnUsageError(addSettingOptions(command));
}
