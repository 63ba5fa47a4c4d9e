#!/usr/bin/env node
import { Command } from 'commander';
import { CollectorError, ConfigError } from '../shared/errors.ts';
import { VERSION } from '../version.ts';
import { configCommand } from './config-check.ts';
import { doctorCommand } from './doctor.ts';
import { exportCommand } from './export.ts';
import {
  addSettingOptions,
  exitOnUsageError,
  FAILURE_EXIT_CODE,
  settingFlags,
  USAGE_EXIT_CODE,
} from './options.ts';
import { recordCommand } from './record.ts';
import { tokenCommand } from './token.ts';

/** The command `collector`: without a subcommand it runs the service. */

const program = new Command('collector')
  .description("Listens to a vehicle's CAN buses and serves their state and history over HTTP.")
  .version(VERSION)
  .showHelpAfterError('(see --help)')
  // --db and --bus mean one thing before a subcommand and another behind it.
  .enablePositionalOptions()
  .action(async () => {
    // Loaded here, so that --help and config check don't wait for it.
    const { run } = await import('./run.ts');
    process.exitCode = await run(settingFlags(program));
  });
addSettingOptions(exitOnUsageError(program));
program.addCommand(configCommand());
program.addCommand(exportCommand());
program.addCommand(doctorCommand());
program.addCommand(recordCommand());
program.addCommand(tokenCommand());

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CollectorError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error instanceof ConfigError ? USAGE_EXIT_CODE : FAILURE_EXIT_CODE;
}
