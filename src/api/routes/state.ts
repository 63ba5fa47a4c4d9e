import { type Static, Type } from 'typebox';
import { QueryError } from '../../shared/errors.ts';
import type { SignalState, StateFilter } from '../../telemetry/telemetry-store.ts';
import type { ApiInstance } from '../instance.ts';
import { componentOf, componentsHeard, componentTypeOf, messageTypeOf } from '../names.ts';
import { COMPONENT_STATE_EXAMPLE, STATE_EXAMPLE } from '../openapi/examples.ts';
import { COMPONENT_ID, COMPONENT_TYPE } from '../openapi/parameters.ts';
import { json, problems } from '../openapi/responses.ts';
import { type SignalStateReply, type StateReply, StateSchema } from '../schemas.ts';
import type { ApiSources } from '../sources.ts';

const MESSAGE_TYPE = {
  description:
    'only what messages of this type say; by default a STATUS goes before others, and then the latest',
};

const CurrentQuery = Type.Object(
  {
    component_type: Type.Optional(
      Type.String({ ...COMPONENT_TYPE, description: `only ${COMPONENT_TYPE.description}` }),
    ),
    message_type: Type.Optional(Type.String({ ...MESSAGE_TYPE, examples: ['STATUS', 'COMMAND'] })),
  },
  { additionalProperties: false },
);
const ComponentParams = Type.Object({
  component_type: Type.String(COMPONENT_TYPE),
  component_id: Type.String(COMPONENT_ID),
});
const ComponentQuery = Type.Object(
  { message_type: Type.Optional(Type.String({ ...MESSAGE_TYPE, examples: ['STATUS'] })) },
  { additionalProperties: false },
);

/** The latest state: of everything, of one component type, of one component. */
export function stateRoutes(api: ApiInstance, sources: ApiSources): void {
  const { registry, state } = sources;
  const config = { scope: 'read' } as const;

  const currentSchema = {
    operationId: 'getCurrentState',
    summary: 'The latest value of every signal',
    description:
      'By component type, component and command, with age, rate and staleness. What an earlier run has heard last is there too, and stale.',
    tags: ['State'],
    querystring: CurrentQuery,
    response: {
      200: json('The state', StateSchema, STATE_EXAMPLE),
      ...problems({ 400: ['QUERY_INVALID', 'COMPONENT_TYPE_UNKNOWN', 'MESSAGE_TYPE_UNKNOWN'] }),
    },
  };
  api.get('/api/state/current', { schema: currentSchema, config }, ({ query }) => {
    return stateReply(sources, {
      componentType:
        query.component_type === undefined ? undefined : componentTypeOf(registry, query.component_type, 400),
      messageType: messageTypeFilter(sources, query),
    });
  });

  const componentSchema = {
    operationId: 'getComponentState',
    summary: 'The latest values of one component',
    description: 'In the form of the whole state, with this component alone.',
    tags: ['State'],
    params: ComponentParams,
    querystring: ComponentQuery,
    response: {
      200: json('The state of the component', StateSchema, COMPONENT_STATE_EXAMPLE),
      ...problems({
        400: ['QUERY_INVALID', 'MESSAGE_TYPE_UNKNOWN', 'URL_INVALID'],
        404: ['COMPONENT_TYPE_UNKNOWN', 'COMPONENT_UNKNOWN', 'COMPONENT_NOT_HEARD'],
        414: ['URL_TOO_LONG'],
      }),
    },
  };
  const path = '/api/state/component/:component_type/:component_id';
  api.get(path, { schema: componentSchema, config }, (request) => {
    const { params, query } = request;
    const componentType = componentTypeOf(registry, params.component_type, 404);
    const componentId = componentOf(registry, componentType, params.component_id, 404);
    const messageType = messageTypeFilter(sources, query);
    const reply = stateReply(sources, { componentType, componentId, messageType });
    if (Object.keys(reply.components).length > 0) return reply;
    const name = `${registry.componentTypeName(componentType)}/${registry.componentName(componentType, componentId)}`;
    const how =
      messageType === undefined ? '' : ` in messages of type ${registry.messageTypeName(messageType)}`;
    const heard = componentsHeard(state, messageType);
    const message = `${name} has not been heard${how}. Heard so far${how}: ${heard}.`;
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
