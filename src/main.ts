import type { Logger } from 'pino';
import { ApiSecurity } from './api/security/api-security.ts';
import { createServer } from './api/server.ts';
import { createCommands } from './commands.ts';
import type { EffectiveSetting } from './config/load-config.ts';
import type { CollectorConfig } from './config/schema.ts';
import { type Pipeline, startPipeline } from './pipeline/pipeline.ts';
import { statusReporter } from './status.ts';
import { VERSION } from './version.ts';

export interface Collector {
  readonly pipeline: Pipeline;
  /** Where the API answers, such as http://127.0.0.1:5001. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts the service: the data path, then the API over it; stop() ends them in reverse. */
export async function startCollector(
  config: CollectorConfig,
  log: Logger,
  settings: readonly EffectiveSetting[] = [],
): Promise<Collector> {
  const apiLog = log.child({ stage: 'api' });
  const security = new ApiSecurity(config.api, apiLog);
  let pipeline: Pipeline;
  try {
    // Before anything is started: what is wrong with it is a mistake of the configuration.
    security.checkAddress();
    pipeline = await startPipeline(config, log);
  } catch (error) {
    security.close();
    throw error;
  }
  try {
    const { registry, sources, state, feed, history } = pipeline;
    const commands = createCommands(config.commands, pipeline, log);
    await commands?.start();
    const server = createServer({
      version: VERSION,
      registry,
      state,
      feed,
      history,
      status: statusReporter(config, pipeline, commands),
      isSimulated: sources.some(({ bus }) => bus.isSimulated),
      commands,
      security,
      log: apiLog,
      settings,
      logFile: config.log.file,
    });
    const url = await server.listen(config.api);
    log.info({ url }, 'listening');
    return {
      pipeline,
      url,
      async stop() {
        const commandsStopped = commands?.stop();
        // Reading stops first, so that all that was read is stored; clients are cut off meanwhile.
        const stopped = pipeline.stop();
        // Who waits for a command's echo is told that it was cut off, and whether it was sent.
        await commandsStopped;
        // Who follows the live stream is told; whoever is left is cut off.
        await server.close();
        security.close();
        await stopped;
      },
    };
  } catch (error) {
    security.close();
    await pipeline.stop();
    throw error;
  }
}
