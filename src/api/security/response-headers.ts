import type { FastifyReply } from 'fastify';

/** For what isn't a page: a browser that shows it runs nothing, loads nothing, and shows it in no frame. */
const DATA_POLICY = "default-src 'none'; frame-ancestors 'none'";

/**
 * What every answer bears, unless its route says otherwise. There is no Strict-Transport-Security: it would hold for all
 * ports of the machine's name, and so shut off dashboards beside this one that speak HTTP.
 */
const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': DATA_POLICY,
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

export function addSecurityHeaders(reply: FastifyReply): void {
  reply.headers(HEADERS);
}

/** The policy of a page: what it may load and run; nothing else, no frames, no forms, no other base. */
export function pagePolicy(directives: Readonly<Record<string, string>>): string {
  const all = {
    'default-src': "'none'",
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
    ...directives,
  };
  return Object.entries(all)
    .map(([name, value]) => `${name} ${value}`)
    .join('; ');
}

/** Adds to what the answer differs by, which caches have to know. */
export function addVary(reply: FastifyReply, field: string): void {
  const present = reply.getHeader('vary');
  reply.header('vary', present === undefined ? field : `${present}, ${field}`);
}
