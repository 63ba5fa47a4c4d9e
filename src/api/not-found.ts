import type { FastifyRequest } from 'fastify';
import { QueryError } from '../shared/errors.ts';
import type { ApiInstance } from './instance.ts';
import { pathsOf } from './openapi/document.ts';

/** Characters of a path that an answer repeats. */
const PATH_CHARS_SHOWN = 200;

/** What is thrown where there is no route. Of the URL it repeats the path alone: its query may hold a token. */
export function notFound(api: ApiInstance, { method, url }: FastifyRequest): QueryError {
  const path = url.split('?')[0]!.slice(0, PATH_CHARS_SHOWN);
  const message = `There is nothing at ${method} ${path}. There is: ${pathsOf(api)}.`;
  return new QueryError(404, 'ROUTE_NOT_FOUND', message);
}
