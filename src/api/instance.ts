import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify from 'fastify';
import { API_BODY_BYTES_MAX, API_PATH_PART_CHARS_MAX } from '../shared/limits.ts';
import type { ApiSecurity } from './security/api-security.ts';
import { createGuardedServer } from './security/http-server.ts';
import { refuseUrl } from './security/unroutable.ts';
import { explainValidation } from './validation.ts';

export type ApiInstance = ReturnType<typeof createInstance>;

/**
 * Makes the Fastify instance that the routes are added to. Its log is off: what is worth a line is logged
 * where it happens.
 *
 * Replies that aren't text already are written by JSON.stringify: the serializers that Fastify makes of schemas take
 * 1.7 times as long (measured on the state of 120 signals), and they leave out what a schema forgot.
 */
export function createInstance(security: ApiSecurity) {
  return fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: API_BODY_BYTES_MAX,
    // Its time-outs and what it allows a socket are set there.
    serverFactory: (listener) => createGuardedServer(security, listener),
    // Answered by the server itself.
    clientErrorHandler: () => {},
    // What the router refuses never comes to the error handler.
    frameworkErrors: (error, _request, reply) => refuseUrl(security, error, reply),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: API_PATH_PART_CHARS_MAX },
    schemaErrorFormatter: explainValidation,
    ajv: {
      customOptions: { coerceTypes: 'array', removeAdditional: false, allErrors: false, verbose: true },
    },
  })
    .withTypeProvider<TypeBoxTypeProvider>()
    .setSerializerCompiler(() => JSON.stringify);
}
