import { Type } from 'typebox';
import { QueryError } from '../../shared/errors.ts';
import { etagOf, sendTagged } from '../etag.ts';
import type { ApiInstance } from '../instance.ts';
import { componentTypeOf } from '../names.ts';
import { COMPONENT_TYPE_EXAMPLE, PROTOCOL_EXAMPLE } from '../openapi/examples.ts';
import { COMPONENT_TYPE } from '../openapi/parameters.ts';
import { ETAG, json, problems, UNCHANGED } from '../openapi/responses.ts';
import { ComponentTypeSchema, ProtocolSchema } from '../protocol-schemas.ts';
import type { ApiSources } from '../sources.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/** An answer that stays as it is while the service runs. */
interface Fixed {
  readonly text: string;
  readonly etag: string;
}

/** What the bus can say. */
export function protocolRoutes(api: ApiInstance, { registry }: ApiSources): void {
  const catalog = registry.catalog();
  const config = { scope: 'read' } as const;
  const whole = fixed(catalog);
  const byType = new Map<number, Fixed>(
    Object.values(catalog.component_types).map((componentType) => [componentType.id, fixed(componentType)]),
  );

  const schema = {
    operationId: 'getProtocol',
    summary: 'What the bus can say',
    description:
      'Message types, value types, and of each component type its components and commands with their units, scales and value names.',
    tags: ['Protocol'],
    response: {
      200: json('The whole protocol', ProtocolSchema, PROTOCOL_EXAMPLE, ETAG),
      304: UNCHANGED,
    },
  };
  api.get('/api/protocol', { schema, config }, async (request, reply) =>
    sendTagged(request, reply.type(JSON_TYPE), whole.text, whole.etag),
  );

  const typeSchema = {
    operationId: 'getComponentType',
    summary: 'What the bus can say of one component type',
    description: 'The same for one component type.',
    tags: ['Protocol'],
    params: Type.Object({
      component_type: Type.String(COMPONENT_TYPE),
    }),
    response: {
      200: json('The component type', ComponentTypeSchema, COMPONENT_TYPE_EXAMPLE, ETAG),
      304: UNCHANGED,
      ...problems({ 400: ['URL_INVALID'], 404: ['COMPONENT_TYPE_UNKNOWN'], 414: ['URL_TOO_LONG'] }),
    },
  };
  api.get('/api/protocol/:component_type', { schema: typeSchema, config }, async (request, reply) => {
    const componentType = componentTypeOf(registry, request.params.component_type, 404);
    const found = byType.get(componentType);
    if (found !== undefined) return sendTagged(request, reply.type(JSON_TYPE), found.text, found.etag);
    const name = registry.componentTypeName(componentType);
    const known = Object.keys(catalog.component_types).join(', ');
    throw new QueryError(
      404,
      'COMPONENT_TYPE_UNKNOWN',
      `The protocol says nothing of ${name}. It knows: ${known}.`,
    );
  });
}

function fixed(answer: unknown): Fixed {
  const text = JSON.stringify(answer);
  return { text, etag: etagOf(text) };
}
