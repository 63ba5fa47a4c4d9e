import { type Static, Type } from 'typebox';
import { QueryError } from '../../shared/errors.ts';
import type { SignalState, StateFilter } from '../../telemetry/telemetry-store.ts';
import type { ApiInstance } from '../instance.ts';
import { componentOf, componentsHeard, componentTypeOf, messageTypeOf } from '../names.ts';
import { ErrorSchema, type SignalStateReply, type StateReply, StateSchema } from '../schemas.ts';
import type { ApiSources } from '../sources.ts';

const MessageTypeParameter = Type.Optional(
  Type.String({ description: 'only what messages of this type say; by default a STATUS goes before others' }),
);

const CurrentQuery = Type.Object(
  { component_type: Type.Optional(Type.String()), message_type: MessageTypeParameter },
  { additionalProperties: false },
);
const ComponentParams = Type.Object({ component_type: Type.String(), component_id: Type.String() });
const ComponentQuery = Type.Object({ message_type: MessageTypeParameter }, { additionalProperties: false });

/** The latest state: of everything, of one component type, of one component. */
export function stateRoutes(api: ApiInstance, sources: ApiSources): void {
  const { registry, state } = sources;

  const currentSchema = { querystring: CurrentQuery, response: { 200: StateSchema, 400: ErrorSchema } };
  api.get('/api/state/current', { schema: currentSchema }, ({ query }) => {
    return stateReply(sources, {
      componentType:
        query.component_type === undefined ? undefined : componentTypeOf(registry, query.component_type, 400),
      messageType: messageTypeFilter(sources, query),
    });
  });

  const componentSchema = {
    params: ComponentParams,
    querystring: ComponentQuery,
    response: { 200: StateSchema, 400: ErrorSchema, 404: ErrorSchema },
  };
  api.get('/api/state/component/:component_type/:component_id', { schema: componentSchema }, (request) => {
    const { params, query } = request;
    const componentType = componentTypeOf(registry, params.component_type, 404);
    const componentId = componentOf(registry, componentType, params.component_id, 404);
    const reply = stateReply(sources, {
      componentType,
      componentId,
      messageType: messageTypeFilter(sources, query),
    });
    if (Object.keys(reply.components).length > 0) return reply;
    const name = `${registry.componentTypeName(componentType)}/${registry.componentName(componentType, componentId)}`;
    const message = `${name} has not been heard. Heard so far: ${componentsHeard(state)}.`;
    throw new QueryError(404, 'COMPONENT_NOT_HEARD', message);
  });
}

function messageTypeFilter(
  { registry }: ApiSources,
  query: Static<typeof ComponentQuery>,
): number | undefined {
  return query.message_type === undefined ? undefined : messageTypeOf(registry, query.message_type);
}

function stateReply({ state, isSimulated }: ApiSources, filter: StateFilter): StateReply {
  const components: StateReply['components'] = {};
  for (const signal of state.current(filter)) {
    const { componentType, componentId, commandId } = signal.series.definition;
    components[componentType] ??= {};
    components[componentType][componentId] ??= {};
    components[componentType][componentId][commandId] = signalReply(signal);
  }
  return { timestamp: Date.now() / 1000, simulated: isSimulated, components };
}

function signalReply(signal: SignalState): SignalStateReply {
  const { bus, nodeId, definition } = signal.series;
  return {
    value: signal.value,
    raw_value: signal.rawValue,
    value_name: definition.valueNames?.[signal.rawValue] ?? null,
    unit: definition.unit,
    value_type: definition.valueType,
    message_type: definition.messageType,
    timestamp: signal.timestampUs / 1_000_000,
    age_s: Math.round(signal.ageMs) / 1000,
    stale: signal.isStale,
    count: signal.count,
    rate_hz: Math.round(signal.rateHz * 1000) / 1000,
    bus,
    node_id: nodeId,
  };
}
