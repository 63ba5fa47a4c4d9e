import type { FastifyError, FastifyReply } from 'fastify';
import { errorReply } from '../error-reply.ts';
import type { ApiSecurity } from './api-security.ts';
import { addSecurityHeaders } from './response-headers.ts';

/** A URL that can't be read, or has a part that is too long: no route is found for it, and no hook called. */
export function refuseUrl({ counters }: ApiSecurity, error: FastifyError, reply: FastifyReply): void {
  const statusCode = error.statusCode ?? 400;
  counters.requests++;
  counters.refused[statusCode === 414 ? 'too_large' : 'malformed']++;
  addSecurityHeaders(reply);
  reply.code(statusCode).send(errorReply(error));
}
