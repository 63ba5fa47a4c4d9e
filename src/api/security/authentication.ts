import type { FastifyRequest } from 'fastify';
import { Refusal } from './refusal.ts';
import type { Principal, Scope } from './scopes.ts';
import type { KnownToken, TokenStore } from './token-store.ts';

const REALM = 'Bearer realm="telemetry-collector"';

/** A subprotocol that a browser names beside the real one, as it can't send a WebSocket's request with a header. */
const BEARER_SUBPROTOCOL = 'bearer.';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A browser can't send headers with what it asks here: the token may stand in the query. */
    takesTokenInQuery?: boolean;
  }
}

/** It is taken out of the query once it was read. */
const QUERY_PARAMETER = 'access_token';

export function isUpgrade(request: FastifyRequest): boolean {
  return request.headers.upgrade !== undefined;
}

/** Who asks, and with which token. Throws Refusal TOKEN_INVALID: a wrong token isn't the same as none. */
export function authenticate(
  request: FastifyRequest,
  tokens: TokenStore,
  anonymous: Principal,
): { readonly principal: Principal; readonly token: KnownToken | null } {
  const text = presentedToken(request);
  if (text === null) return { principal: anonymous, token: null };
  const token = tokens.find(text);
  if (token !== null) return { principal: token.principal, token };
  throw new Refusal(
    401,
    'TOKEN_INVALID',
    'token',
    'The token is not known here: it was mistyped or revoked, or has expired. See which there are: telemetry-collector token list',
    { 'www-authenticate': `${REALM}, error="invalid_token"` },
  );
}

/** Throws Refusal TOKEN_MISSING or SCOPE_MISSING. */
export function authorize(principal: Principal, scope: Scope): void {
  if (principal.scopes.has(scope)) return;
  const make = `telemetry-collector token create --name NAME --scope ${scope}`;
  if (principal.isAnonymous) {
    throw new Refusal(
      401,
      'TOKEN_MISSING',
      'token',
      `This needs a token with the scope ${scope}, as the header "Authorization: Bearer TOKEN". Make one: ${make}`,
      { 'www-authenticate': REALM },
    );
  }
  throw new Refusal(
    403,
    'SCOPE_MISSING',
    'scope',
    `This needs the scope ${scope}; the token ${principal.name} has ${[...principal.scopes].join(', ')}. Make one that has it: ${make}`,
    { 'www-authenticate': `${REALM}, error="insufficient_scope", scope="${scope}"` },
  );
}

/** The token of the header Authorization; null for none. */
export function headerToken({ headers }: FastifyRequest): string | null {
  // Any other scheme, such as Basic of a proxy ahead, is no token of ours, and no attempt at one.
  return /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1] ?? null;
}

/** The token as it was sent; null for none. */
function presentedToken(request: FastifyRequest): string | null {
  const bearer = headerToken(request);
  if (bearer !== null) return bearer;

  const subprotocols = request.headers['sec-websocket-protocol'];
  if (isUpgrade(request) && subprotocols !== undefined) {
    const named = subprotocols.split(',').map((name) => name.trim());
    const token = named.find((name) => name.startsWith(BEARER_SUBPROTOCOL));
    if (token !== undefined) return token.slice(BEARER_SUBPROTOCOL.length);
  }
  // Addresses end up in histories and logs, so elsewhere a token has no place in one.
  if (request.routeOptions.config.takesTokenInQuery !== true) return null;
  const query = request.query as Record<string, unknown>;
  const token = query[QUERY_PARAMETER];
  delete query[QUERY_PARAMETER];
  return typeof token === 'string' ? token : null;
}
