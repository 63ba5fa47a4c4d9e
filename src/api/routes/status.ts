import type { ApiInstance } from '../instance.ts';
import { StatusSchema } from '../schemas.ts';
import type { ApiSources } from '../sources.ts';

export function statusRoutes(api: ApiInstance, { status }: ApiSources): void {
  api.get('/api/status', { schema: { response: { 200: StatusSchema } } }, () => status());
}
