import type { FastifyError, FastifyReply } from 'fastify';
import { errorReply } from '../error-reply.ts';
import type { ApiSecurity } from './api-security.ts';
import { addSecurityHeaders } from './response-headers.ts';

/** Characters of what is wrong with a URL, which repeats it. */
const MESSAGE_CHARS_MAX = 250;

/** A URL that can't be read, or has a part that is too long: no route is found for it, and no hook called. */
export function refuseUrl({ counters }: ApiSecurity, error: FastifyError, reply: FastifyReply): void {
  const statusCode = error.statusCode ?? 400;
  counters.requests++;
  counters.refused[statusCode === 414 ? 'too_large' : 'malformed']++;
  addSecurityHeaders(reply);
  const answer = errorReply(error);
  reply.code(statusCode).send({ ...answer, message: answer.message.slice(0, MESSAGE_CHARS_MAX) });
}
