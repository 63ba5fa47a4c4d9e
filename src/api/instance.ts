import type { IncomingMessage } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify from 'fastify';
import { errorReply } from './error-reply.ts';
import { explainValidation } from './validation.ts';

/** Bytes of a request's body at most; a route that takes one has a limit of its own. */
const BODY_BYTES_MAX = 64 * 1024;
/** Characters of one path parameter at most. */
const PATH_PARAMETER_CHARS_MAX = 200;
/** How long a client may take to send its request. */
const REQUEST_TIMEOUT_MS = 10_000;

export type ApiInstance = ReturnType<typeof createInstance>;

/**
 * Makes the Fastify instance that the routes are added to. Its log is off: what is worth a line is logged
 * where it happens.
 *
 * Replies are written by JSON.stringify: for the state of 120 signals the serializers that Fastify makes of
 * schemas take 1.7 times as long (0.09 ms against 0.05), and they leave out what a schema forgot.
 */
export function createInstance() {
  return fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Clients that offer HTTP/2 (curl --http2, Java's by default) are answered as if they didn't, bodies included.
    http: { shouldUpgradeCallback: isForWebSocket },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: PATH_PARAMETER_CHARS_MAX },
    // What the router refuses never comes to the error handler.
    frameworkErrors: (error, _request, reply) => {
      const answer = errorReply(error);
      return reply.code(answer.statusCode as never).send(answer as never);
    },
    schemaErrorFormatter: explainValidation,
    ajv: {
      customOptions: { coerceTypes: 'array', removeAdditional: false, allErrors: false, verbose: true },
    },
  })
    .withTypeProvider<TypeBoxTypeProvider>()
    .setSerializerCompiler(() => JSON.stringify);
}

function isForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}
