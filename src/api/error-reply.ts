import { STATUS_CODES } from 'node:http';
import type { FastifyError } from 'fastify';
import { CollectorError, QueryError } from '../shared/errors.ts';
import { API_PATH_PART_CHARS_MAX, COMMAND_BODY_BYTES_MAX } from '../shared/limits.ts';
import type { ErrorReply } from './schemas.ts';

/** What Fastify refuses by itself, in codes and words of ours: its own are those of a library. */
const REFUSALS: Readonly<Record<string, readonly [code: string, message: string]>> = {
  FST_ERR_BAD_URL: [
    'URL_INVALID',
    'Expected each % in the path to be followed by two hexadecimal digits, of UTF-8.',
  ],
  FST_ERR_MAX_PARAM_LENGTH: [
    'URL_TOO_LONG',
    `Expected each part of the path to have at most ${API_PATH_PART_CHARS_MAX} characters.`,
  ],
  // Commands are the only bodies.
  FST_ERR_CTP_BODY_TOO_LARGE: [
    'BODY_TOO_LARGE',
    `Expected a body of at most ${COMMAND_BODY_BYTES_MAX} bytes.`,
  ],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['BODY_INVALID', 'Expected a body of JSON, found none.'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['BODY_INVALID', 'Expected a body of JSON, found what is none.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    'BODY_INVALID',
    'Expected a body of as many bytes as Content-Length says.',
  ],
};

/** What a client is told of anything that was thrown; what went wrong inside stays inside. */
export function errorReply(error: FastifyError | Error): ErrorReply {
  const statusCode = statusCodeOf(error);
  if (error instanceof CollectorError) return refusal(statusCode, error.code, error.message);
  if (statusCode >= 500) {
    return refusal(statusCode, 'INTERNAL', 'The request failed inside the service; its log says why.');
  }
  if ('validation' in error) return refusal(statusCode, 'QUERY_INVALID', error.message);
  const fastifyCode = 'code' in error ? error.code : 'INTERNAL';
  const [code, message] = REFUSALS[fastifyCode] ?? [fastifyCode, error.message];
  return refusal(statusCode, code, message);
}

export function refusal(statusCode: number, code: string, message: string): ErrorReply {
  return { statusCode, code, error: STATUS_CODES[statusCode] ?? 'Error', message };
}

function statusCodeOf(error: FastifyError | Error): number {
  if (error instanceof QueryError) return error.statusCode;
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
}
