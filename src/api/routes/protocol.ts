import { Type } from 'typebox';
import { QueryError } from '../../shared/errors.ts';
import type { ApiInstance } from '../instance.ts';
import { componentTypeOf } from '../names.ts';
import type { ApiSources } from '../sources.ts';

/** What the bus can say. */
export function protocolRoutes(api: ApiInstance, { registry }: ApiSources): void {
  const catalog = registry.catalog();
  api.get('/api/protocol', () => catalog);

  const schema = { params: Type.Object({ component_type: Type.String() }) };
  api.get('/api/protocol/:component_type', { schema }, ({ params }) => {
    const componentType = componentTypeOf(registry, params.component_type, 404);
    const found = registry.catalog(componentType);
    if (found !== null) return found;
    const name = registry.componentTypeName(componentType);
    const known = Object.keys(catalog.component_types).join(', ');
    throw new QueryError(
      404,
      'COMPONENT_TYPE_UNKNOWN',
      `The protocol says nothing of ${name}. It knows: ${known}.`,
    );
  });
}
