import { type Command, Option } from 'commander';

import type { Flags } from '../config/load-config.ts';
import { inputHelp, SETTINGS } from '../config/reference.ts';
import { CONFIG_FILE_DEFAULT, CONFIG_FILE_INPUT } from '../config/schema.ts';

/** The exit code of a command line that can't be understood. */
export const USAGE_EXIT_CODE = 2;

/** The exit code of everything else that fails. */
export const FAILURE_EXIT_CODE = 1;

/**
 * Adds --config and a flag for every setting that has one, or for those of `paths`. The defaults stay with loadConfig: an
 * option that wasn't given has no value.
 */
export function addSettingOptions(command: Command, paths?: readonly string[]): Command {
  const { flag, placeholder, description, env } = CONFIG_FILE_INPUT;
  const help = `${description} (default: ${CONFIG_FILE_DEFAULT} if it exists; env: ${env})`;
  command.addOption(new Option(`--${flag} <${placeholder}>`, help));
  for (const setting of SETTINGS) {
    if (paths !== undefined && !paths.includes(setting.path)) continue;
    for (const input of setting.inputs) {
      if (input.flag === undefined) continue;
      const option = new Option(`--${input.flag} <${input.placeholder}>`, inputHelp(input, setting));
      if (input.isRepeatable) {
        option.argParser((url: string, urls: readonly string[] = []) => [...urls, url]);
      }
      command.addOption(option);
    }
  }
  return command;
}

/** The flags that stood on the command line, as loadConfig takes them. */
export function settingFlags(command: Command): Flags {
  const known = new Set<string>([
    CONFIG_FILE_INPUT.flag,
    ...SETTINGS.flatMap(({ inputs }) => inputs.flatMap(({ flag }) => flag ?? [])),
  ]);
  const values: Record<string, unknown> = command.opts();
  const flags: Record<string, string | readonly string[]> = {};
  for (const option of command.options) {
    const value = values[option.attributeName()];
    const isGiven = typeof value === 'string' || Array.isArray(value);
    if (isGiven && known.has(option.name())) flags[option.name()] = value;
  }
  return flags;
}

/** Makes a mistake on the command line end the process with USAGE_EXIT_CODE; help ends it with 0. */
export function exitOnUsageError(command: Command): Command {
  return command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : USAGE_EXIT_CODE));
}
