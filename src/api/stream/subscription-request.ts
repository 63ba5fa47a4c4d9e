import type { ProtocolRegistry } from '../../protocol/protocol-registry.ts';
import { messageTypeOf } from '../names.ts';
import type { SubscribeMessage } from './schemas.ts';
import type { SubscriptionRequest } from './stream-client.ts';

/** What a client asks for in the numbers of the wire. Throws QueryError MESSAGE_TYPE_UNKNOWN. */
export function subscriptionRequest(
  registry: ProtocolRegistry,
  { id, signals, max_hz, since, snapshot, message_type, bus }: Omit<SubscribeMessage, 'type'>,
): SubscriptionRequest {
  return {
    id,
    patterns: signals,
    maxHz: max_hz ?? null,
    since: since ?? null,
    snapshot,
    messageType: message_type === undefined ? null : messageTypeOf(registry, message_type),
    bus: bus ?? null,
  };
}
