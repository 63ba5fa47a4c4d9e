import { MESSAGE_TYPE } from '../protocol/kart-codec.ts';
import type { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import { CollectorError, errorCode, errorMessage, QueryError } from '../shared/errors.ts';
import type { Order } from './command-order.ts';
import { type CommandOutcome, shortened } from './command-record.ts';
import type { NodeAnswer, WatchResult } from './command-watch.ts';

/** What came of a frame that was sent; the result is null where nobody watched. */
export function outcomeOf(result: WatchResult | null): CommandOutcome {
  if (result?.isStopped) return 'failed';
  if (!result?.answer) return 'timed_out';
  return result.answer.kind === 'echo' ? 'acknowledged' : 'refused_by_node';
}

/** Why a command that was sent isn't acknowledged; null where it is. */
export function outcomeError(
  order: Order,
  sentUs: number,
  timeoutMs: number,
  result: WatchResult | null,
  registry: ProtocolRegistry,
): QueryError | null {
  const { bus, definition, value, valueName } = order;
  const { componentType, componentId, commandId } = definition;
  const command = `${componentType}/${componentId}/${commandId} = ${valueName ?? value}`;
  const sent = `${command} was sent on ${bus.name} at ${(sentUs / 1_000_000).toFixed(3)}`;
  if (result === null) {
    const message = `${sent}, but so many commands wait for their echoes that nobody watched for this one's.`;
    return new QueryError(503, 'COMMANDS_WAITING', message);
  }
  const { answer, isStopped, ownUs, ackedBy } = result;
  if (answer?.kind === 'echo') return null;
  if (answer !== null) {
    const message = `Node ${answer.nodeId} answered ${command} with an ERROR${errorText(answer, registry)}.`;
    return new QueryError(502, 'COMMAND_REFUSED', message);
  }
  if (isStopped) {
    const message = `${sent}; the service was stopped before a node echoed it.`;
    return new QueryError(503, 'SERVICE_STOPPING', message);
  }
  const acks = ackedBy.length === 0 ? '' : ` An ACK came from node ${ackedBy.join(', ')}.`;
  const unseen =
    ownUs === null ? ' Nor was our own frame seen on the bus: see that another node is there.' : '';
  const message = `${sent}, but no node echoed it within ${timeoutMs / 1000} s: it may have been acted on or not.${acks}${unseen}`;
  return new QueryError(504, 'COMMAND_NOT_ACKNOWLEDGED', message);
}

/** As ` of MOTOR_LEFT_REAR: ERROR_OVERTEMP`. */
function errorText({ message }: NodeAnswer, registry: ProtocolRegistry): string {
  const { componentType, componentId, commandId, valueType, rawValue } = message;
  const { valueNames } = registry.describe(
    MESSAGE_TYPE.ERROR,
    componentType,
    componentId,
    commandId,
    valueType,
  );
  const component = registry.componentName(componentType, componentId);
  return ` of ${component}: ${valueNames?.[rawValue] ?? `status ${rawValue}`}`;
}

/** An error of the bus, the protocol or the audit log as one of the request; a mistake of the code stays one. */
export function asQueryError(error: unknown, statusCode: number): unknown {
  if (error instanceof QueryError || !(error instanceof CollectorError)) return error;
  return new QueryError(statusCode, error.code, error.message, { cause: error });
}

/** Why it came to nothing, as the audit log has it. */
export function reasonOf(error: unknown): { readonly code: string; readonly message: string } {
  return { code: errorCode(error), message: shortened(errorMessage(error)) };
}
