import type { Logger } from 'pino';
import { createServer } from './api/server.ts';
import { createCommands } from './commands.ts';
import type { CollectorConfig } from './config/schema.ts';
import { type Pipeline, startPipeline } from './pipeline.ts';
import { statusReporter } from './status.ts';
import { VERSION } from './version.ts';

export interface Collector {
  readonly pipeline: Pipeline;
  /** Where the API answers, such as http://127.0.0.1:5001. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts the service: the data path, then the API over it; stop() ends them in reverse. */
export async function startCollector(config: CollectorConfig, log: Logger): Promise<Collector> {
  const pipeline = await startPipeline(config, log);
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
      log: log.child({ stage: 'api' }),
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
        await server.close();
        await stopped;
        await commandsStopped;
      },
    };
  } catch (error) {
    await pipeline.stop();
    throw error;
  }
}
