import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

/**
 * Names a body by its content. Weak (W/), as the same answer goes out compressed or not, which are different bytes. Sixteen
 * bytes of SHA-256: nobody finds two bodies of one name.
 */
export function etagOf(body: string | Uint8Array): string {
  return `W/"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
}

/**
 * Answers with a body that changes rarely: a client that has it already, and says so by If-None-Match, gets 304 without it.
 * `no-cache` lets clients keep it but ask each time; without it browsers guess for how long it holds.
 */
export function sendTagged(
  request: FastifyRequest,
  reply: FastifyReply,
  body: string | Uint8Array,
  etag = etagOf(body),
): FastifyReply {
  reply.header('etag', etag).header('cache-control', 'no-cache');
  if (isKnown(request.headers['if-none-match'], etag)) return reply.code(304).send();
  return reply.send(body);
}

/** Whether If-None-Match names the tag: `*`, or a list of tags, compared as if all were weak (RFC 9110, section 13.1.2). */
export function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  const opaque = etag.replace(/^W\//, '');
  return ifNoneMatch.match(/"[^"]*"/g)?.includes(opaque) ?? false;
}
