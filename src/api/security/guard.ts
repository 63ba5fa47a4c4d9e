import cors from '@fastify/cors';
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { errorCode } from '../../shared/errors.ts';
import { API_ANSWER_BYTES_COUNTED } from '../../shared/limits.ts';
import { rateLimited } from '../../shared/log.ts';
import type { ApiInstance } from '../instance.ts';
import { notFound } from '../not-found.ts';
import { isStreamAsked } from '../sample-format.ts';
import type { ApiSecurity } from './api-security.ts';
import { authenticate, authorize, headerToken, isUpgrade } from './authentication.ts';
import { overloaded, Refusal } from './refusal.ts';
import { addSecurityHeaders } from './response-headers.ts';
import type { Principal, Scope } from './scopes.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by @fastify/cors. */
    corsPreflightEnabled?: boolean;
  }
  interface FastifyContextConfig {
    /** What it needs instead of `scope` where it is asked for a stream of samples (NDJSON, CSV); such streams are exports. */
    streamScope?: Scope;
    /**
     * The route bounds by itself what those may ask whose token has its scope. So they aren't held to api.rate_limit there, which
     * others at the same address may have used up.
     */
    hasOwnLimit?: boolean;
  }
}

/**
 * Guards every route of the API. What a request goes through, and the refusal that each step may end with:
 *
 *   counted, headers set ─▶ name 421 ─▶ origin 403 ─▶ (preflight answered 204) ─▶ rate 429
 *     ─▶ (nothing there 404) ─▶ token 401 ─▶ scope 403 ─▶ room 503 ─▶ route ─▶ room for its answer 503
 *
 * Web pages that may not ask are refused ahead of the rate, so that they use up nothing of what the programs of their machine may
 * ask. Nothing is read of a body before all of it is passed: who may not ask holds no request open with one.
 *
 * It is called before the routes are added: each has to say its scope, or the server doesn't start.
 */
export function guardRoutes(api: ApiInstance, security: ApiSecurity): void {
  const { counters, config } = security;
  // Set for each request; before that, as in answers to URLs that can't be read, nobody is known.
  api.decorateRequest('principal', null as unknown as Principal);
  requireScopes(api);
  endRefusedUpgrades(api);

  api.addHook('onRequest', (request, reply, done) => {
    counters.requests++;
    request.principal = security.anonymous;
    addSecurityHeaders(reply);
    done();
  });
  if (config.origins.length > 0) {
    api.register(cors, {
      origin: [...config.origins],
      methods: ['GET', 'HEAD', 'POST'],
      allowedHeaders: ['accept', 'authorization', 'content-type', 'last-event-id'],
      exposedHeaders: ['link', 'retry-after'],
      maxAge: 600,
      // Preflights are answered below, once the other checks were passed.
      preflightContinue: true,
      strictPreflight: false,
    });
  }
  // After the plugin, so that a page that is allowed to ask can read why it was refused.
  api.after(() => {
    api.addHook('onRequest', (request, reply, done) => {
      try {
        if (admit(request, reply, security) === 'answered') return;
        // Here rather than by its handler, which is called once the body is there.
        if (request.is404) throw notFound(api, request);
      } catch (error) {
        done(error as Error);
        return;
      }
      done();
    });
  });
  api.addHook('onSend', (request, reply, payload, done) => {
    const bytes = lengthOf(payload);
    if (bytes < API_ANSWER_BYTES_COUNTED) return done(null, payload);
    const { socket } = request.raw;
    const onTaken = security.unsent.add(security.sockets.clientOf(socket), socket, bytes);
    if (onTaken === null) {
      return done(overloaded('ANSWERS_UNSENT', 'Too many answers wait for clients to take them: try again.'));
    }
    reply.raw.once('close', onTaken);
    done(null, payload);
  });
}

/**
 * Ends the connection of a WebSocket that was refused ahead of the plugin's own hooks: no parser reads it any more, so it
 * would stay until it is cut off as stalled.
 */
function endRefusedUpgrades(api: ApiInstance): void {
  api.addHook('onResponse', (request, reply, done) => {
    if (isUpgrade(request) && reply.statusCode >= 400) request.raw.socket.destroySoon();
    done();
  });
}

/** Counts a refusal and adds what it says in headers. */
export function refusalTeller(security: ApiSecurity) {
  const logFault = rateLimited(security.log);
  return (error: Error, request: FastifyRequest, reply: FastifyReply): void => {
    const refusal = asRefusal(error);
    if (refusal === null) return;
    const { reason, headers } = refusal;
    security.counters.refused[reason]++;
    reply.headers(headers);
    // The URL isn't logged, as a token may stand in it.
    const { host, origin } = request.headers;
    const fields = {
      client: request.socket.remoteAddress,
      code: errorCode(error),
      ...(reason === 'host' && { host }),
      ...(reason === 'origin' && { origin }),
      ...(reason === 'scope' && { token: request.principal.name }),
    };
    logFault('warn', reason, fields, 'request refused');
  };
}

interface Counted {
  readonly reason: Refusal['reason'];
  readonly headers: Readonly<Record<string, string>>;
}

/** What other parts refuse counts here, too: by its status where it isn't a Refusal. */
function asRefusal(error: Error): Counted | null {
  if (error instanceof Refusal) return error;
  const { statusCode, code } = error as { statusCode?: unknown; code?: unknown };
  if (statusCode === 413 || statusCode === 414 || statusCode === 431)
    return { reason: 'too_large', headers: {} };
  if (code === 'HISTORY_BUSY') return { reason: 'overload', headers: {} };
  return null;
}

function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  security: ApiSecurity,
): 'to the route' | 'answered' {
  const { method, headers } = request;
  const { socket } = request.raw;
  const upgrades = isUpgrade(request);
  security.sockets.begin(socket, reply.raw);

  checkHost(request, security);

  const requestedMethod = headers['access-control-request-method'];
  const { origin, host } = headers;
  if (!security.origins.allows({ method, isUpgrade: upgrades, origin, host, requestedMethod })) {
    throw wrongOrigin(origin);
  }
  if (method === 'OPTIONS') {
    if (origin !== undefined && requestedMethod !== undefined && request.corsPreflightEnabled === true) {
      reply.code(204).header('content-length', '0').send();
      return 'answered';
    }
    // The plugin's own route for OPTIONS would answer what is no preflight: there is nothing there.
    request.corsPreflightEnabled = false;
  }

  if (!isBeyondRate(request, security)) {
    const waitMs = security.rates.take(security.sockets.clientOf(socket));
    if (waitMs > 0) throw tooMany(security.config.ratePerS, waitMs);
  }

  const { config } = request.routeOptions;
  if (request.is404 || method === 'OPTIONS' || config.scope === null) return 'to the route';
  const { principal, token } = authenticate(request, security.tokens, security.anonymous);
  request.principal = principal;
  if (token !== null) security.sockets.addToken(socket, token.id);
  const isExport = config.streamScope !== undefined && isStreamAsked(headers.accept);
  authorize(principal, (isExport ? config.streamScope : config.scope) ?? 'admin');
  if (isExport) takeExport(reply, security);
  return 'to the route';
}

function checkHost({ headers, raw }: FastifyRequest, { hosts }: ApiSecurity): void {
  const count = countOf(raw.rawHeaders, 'host');
  // Of two Node takes the first; a proxy ahead may have looked at the other (RFC 9112, 3.2).
  if (count > 1 || (count === 0 && raw.httpVersion === '1.1')) {
    throw new Refusal(400, 'HTTP_INVALID', 'malformed', `Expected one header Host, found ${count}.`);
  }
  if (!hosts.allows(headers.host)) throw wrongHost(headers.host);
}

/** How often there is a header; `rawHeaders` has names and values in turn. */
function countOf(rawHeaders: readonly string[], name: string): number {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const header = rawHeaders[at]!;
    if (header.length === name.length && header.toLowerCase() === name) count++;
  }
  return count;
}

/** Whether the route bounds itself what the bearer of this token asks. */
function isBeyondRate(request: FastifyRequest, { tokens }: ApiSecurity): boolean {
  const { hasOwnLimit, scope } = request.routeOptions.config;
  if (hasOwnLimit !== true || scope === undefined || scope === null) return false;
  const text = headerToken(request);
  return text !== null && tokens.find(text)?.principal.scopes.has(scope) === true;
}

function takeExport(reply: FastifyReply, { exports }: ApiSecurity): void {
  if (!exports.take()) {
    const message = `${exports.max} exports are under way, and no more at once: try again when one has ended.`;
    throw overloaded('EXPORTS_BUSY', message, 5);
  }
  reply.raw.once('close', () => exports.give());
}

/** A route that forgot its scope would be open to all: it is found before anything is served. */
function requireScopes(api: ApiInstance): void {
  const routes: RouteOptions[] = [];
  api.addHook('onRoute', (route) => {
    routes.push(route);
  });
  api.addHook('onReady', (done) => {
    const missing = routes.filter(
      ({ method, config }) => method !== 'OPTIONS' && config?.scope === undefined,
    );
    if (missing.length === 0) return done();
    const named = missing.map(({ method, url }) => `${method} ${url}`).join(', ');
    done(new Error(`These routes don't say their scope, { config: { scope } }, null for anybody: ${named}`));
  });
}

/**
 * For the routes of a plugin, which can't say their scope themselves: a hook `onRoute` of the instance that the plugin is registered
 * on, ahead of it.
 */
export function withScope(scope: Scope | null): (route: RouteOptions) => void {
  return (route) => {
    route.config = { ...route.config, scope: route.config?.scope === undefined ? scope : route.config.scope };
  };
}

function tooMany(ratePerS: number | null, waitMs: number): Refusal {
  const message = `Expected at most ${ratePerS} requests a second from one client. For a plot ask /api/series, for what changes a stream; rate_limit in the section api allows more.`;
  return new Refusal(429, 'RATE_LIMITED', 'rate', message, {
    'retry-after': String(Math.ceil(waitMs / 1000)),
  });
}

function wrongHost(host: string | undefined): Refusal {
  const message = `The API isn't called ${shown(host)}. If it is to be, add that name to hosts in the section api (--host-name NAME).`;
  return new Refusal(421, 'HOST_REFUSED', 'host', message);
}

function wrongOrigin(origin: string | undefined): Refusal {
  const message = `Pages of ${shown(origin)} may not do this. If they are to, add that to origins in the section api (--origin ORIGIN).`;
  return new Refusal(403, 'ORIGIN_REFUSED', 'origin', message);
}

function shown(header: string | undefined): string {
  const text = header ?? '';
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}

function lengthOf(payload: unknown): number {
  if (typeof payload === 'string') return payload.length;
  return payload instanceof Uint8Array ? payload.byteLength : 0;
}
