import { type Static, Type } from 'typebox';
import { QueryError } from '../../shared/errors.ts';
import type { ApiInstance } from '../instance.ts';
import { componentOf, componentsHeard, componentTypeOf, messageTypeOf } from '../names.ts';
import { COMPONENT_STATE_EXAMPLE, STATE_EXAMPLE } from '../openapi/examples.ts';
import { COMPONENT_ID, COMPONENT_TYPE } from '../openapi/parameters.ts';
import { json, problems } from '../openapi/responses.ts';
import { StateSchema } from '../schemas.ts';
import type { ApiSources } from '../sources.ts';
import { StateWriter } from '../state-writer.ts';

const CONTENT_TYPE = 'application/json; charset=utf-8';

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
  const { registry, state, isSimulated } = sources;
  const writer = new StateWriter(state, isSimulated);
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
  api.get('/api/state/current', { schema: currentSchema, config }, ({ query }, reply) => {
    const { text } = writer.answer({
      componentType:
        query.component_type === undefined ? undefined : componentTypeOf(registry, query.component_type, 400),
      messageType: messageTypeFilter(sources, query),
    });
    reply.type(CONTENT_TYPE).send(text as never);
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
  api.get(path, { schema: componentSchema, config }, ({ params, query }, reply) => {
    const componentType = componentTypeOf(registry, params.component_type, 404);
    const componentId = componentOf(registry, componentType, params.component_id, 404);
    const messageType = messageTypeFilter(sources, query);
    const { text, signals } = writer.answer({ componentType, componentId, messageType });
    if (signals > 0) {
      reply.type(CONTENT_TYPE).send(text as never);
      return;
    }
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
