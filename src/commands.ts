import type { Logger } from 'pino';
import { isLive } from './bus/bus-url.ts';
import { AuditLog } from './commands/audit-log.ts';
import { CommandService } from './commands/command-service.ts';
import type { CommandsConfig } from './config/schema.ts';
import type { Pipeline } from './pipeline/pipeline.ts';

/** What sends commands to the pipeline's buses; null where they are off. */
export function createCommands(
  config: CommandsConfig,
  { sources, registry }: Pipeline,
  log: Logger,
): CommandService | null {
  if (config.enabled === 'off') return null;
  const commandLog = log.child({ stage: 'commands' });
  return new CommandService({
    registry,
    buses: sources.map(({ bus, commands: watch }) => ({
      name: bus.name,
      isLive: isLive(bus.spec),
      isOpen: () => bus.isOpen,
      problem: () => bus.status().problem?.message ?? null,
      send: (frame) => bus.send(frame),
      watch,
    })),
    audit: new AuditLog({ path: config.audit, log: commandLog }),
    timeoutMs: config.timeoutMs,
    log: commandLog,
  });
}
