import { effectiveSettings, type Flags, loadConfig } from '../config/load-config.ts';
import { startCollector } from '../main.ts';
import { STOP_DEADLINE_MS } from '../shared/limits.ts';
import { createLog } from '../shared/log.ts';
import { banner } from './banner.ts';
import { signalled } from './signalled.ts';

/** Runs the service until SIGTERM or SIGINT; resolves with the process's exit code. */
export async function run(flags: Flags): Promise<number> {
  const loaded = loadConfig({ flags });
  const { config } = loaded;
  const output = createLog(config.log);
  const { log } = output;
  const stopAsked = signalled();
  try {
    const collector = await startCollector(config, log, effectiveSettings(loaded));
    process.stdout.write(banner(config, collector.url));
    const signal = await stopAsked;
    log.info({ signal }, 'stopping');
    const deadline = setTimeout(() => {
      log.error({ after_ms: STOP_DEADLINE_MS }, 'stopped by force: not everything may have been stored');
      process.exit(1);
    }, STOP_DEADLINE_MS);
    await collector.stop();
    clearTimeout(deadline);
    log.info('stopped');
    return 0;
  } finally {
    await output.close();
  }
}
