import { Command, Option } from 'commander';
import { loadConfig } from '../config/load-config.ts';
import { VERSION } from '../version.ts';
import { addSettingOptions, exitOnUsageError, FAILURE_EXIT_CODE, settingFlags } from './options.ts';

/** `telemetry-collector doctor ...` */
export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('look at everything between the bus and the API, and say what is wrong and how to mend it')
    .option('--json', 'for programs')
    .addOption(
      new Option(
        '--token <TOKEN>',
        'for a service that tells its status to nobody without one; other users see it here',
      ).env('COLLECTOR_TOKEN'),
    )
    .addHelpText('after', '\nExit code 1 where something is a problem; 0 where nothing is, or only warnings.')
    .action(async (options: { readonly json?: boolean; readonly token?: string }) => {
      const loaded = loadConfig({ flags: settingFlags(command) });
      const { examine } = await import('../doctor/doctor.ts');
      const { isSound, reportJson, reportText } = await import('../doctor/report.ts');
      const { checkAccess } = await import('./access-checks.ts');
      const sections = await examine(loaded, {
        token: options.token,
        accessChecks: checkAccess(loaded.config.api),
      });
      const { stdout } = process;
      const hasColours = stdout.isTTY === true && stdout.hasColors();
      stdout.write(options.json ? reportJson(sections, VERSION) : reportText(sections, hasColours));
      process.exitCode = isSound(sections) ? 0 : FAILURE_EXIT_CODE;
    });
  return exitOnUsageError(addSettingOptions(command));
}
