import { STATUS_CODES } from 'node:http';
import type { FastifyError } from 'fastify';
import { CollectorError, QueryError } from '../shared/errors.ts';
import type { ErrorReply } from './schemas.ts';

/** What Fastify refuses by itself, under codes of ours: its own are those of a library. */
const CODES: Readonly<Record<string, string>> = {
  FST_ERR_BAD_URL: 'URL_INVALID',
  FST_ERR_MAX_PARAM_LENGTH: 'URL_TOO_LONG',
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'BODY_TYPE_UNSUPPORTED',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'BODY_INVALID',
  FST_ERR_CTP_INVALID_JSON_BODY: 'BODY_INVALID',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'BODY_INVALID',
};

/** What a client is told of anything that was thrown; what went wrong inside stays inside. */
export function errorReply(error: FastifyError | Error): ErrorReply {
  const statusCode = statusCodeOf(error);
  const isOurs = error instanceof CollectorError || statusCode < 500;
  const message = isOurs ? error.message : 'The request failed inside the service; its log says why.';
  return refusal(statusCode, codeOf(error, statusCode), message);
}

export function refusal(statusCode: number, code: string, message: string): ErrorReply {
  return { statusCode, code, error: STATUS_CODES[statusCode] ?? 'Error', message };
}

function statusCodeOf(error: FastifyError | Error): number {
  if (error instanceof QueryError) return error.statusCode;
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
}

function codeOf(error: FastifyError | Error, statusCode: number): string {
  if ('validation' in error) return 'QUERY_INVALID';
  if (error instanceof CollectorError) return error.code;
  return statusCode < 500 && 'code' in error ? (CODES[error.code] ?? error.code) : 'INTERNAL';
}
