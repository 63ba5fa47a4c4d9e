import type { ErrorReply } from '../api/schemas.ts';
import { onAbort } from './abort.ts';
import { CollectorClientError, reasonOf } from './client-error.ts';
import { REQUEST_TIMEOUT_MS } from './limits.ts';

/** Where the service is, and who asks. */
export interface Endpoint {
  /** Ends in a slash. */
  readonly baseUrl: string;
  readonly token: string | undefined;
  readonly fetch: typeof fetch;
}

/** What each call takes besides what it asks. */
export interface CallOptions {
  /** Ends the call; it then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long an answer may take; of one that is streamed, how long until it begins. 30 s by default. */
  readonly timeoutMs?: number | undefined;
}

export interface ApiRequest {
  readonly path: string;
  /** The media type that is asked for; JSON by default. */
  readonly accept?: string;
  /** Sent as JSON, by POST. */
  readonly body?: object;
}

/** An answer with what it says. */
export interface JsonAnswer<T> {
  readonly value: T;
  readonly response: Response;
}

/** Asks, and takes the answer's JSON. Throws CollectorClientError, or the reason of the caller's signal. */
export async function requestJson<T>(
  endpoint: Endpoint,
  request: ApiRequest,
  options: CallOptions,
): Promise<JsonAnswer<T>> {
  const call = beginCall(placeOf(endpoint, request), options);
  try {
    const response = await send(endpoint, request, call);
    const text = await call.until(response.text());
    return { value: parseReply(text, response) as T, response };
  } finally {
    call.end();
  }
}

/**
 * Asks, and gives the bytes of the answer as they come. Who leaves the loop early ends the request.
 * Throws as requestJson() does, also where the answer is of another type, or breaks off.
 */
export async function* requestBytes(
  endpoint: Endpoint,
  request: ApiRequest & { readonly accept: string },
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const call = beginCall(placeOf(endpoint, request), options);
  try {
    const response = await send(endpoint, request, call);
    call.stopTimer();
    const { body } = response;
    // What is empty, or of another program, isn't the end of an export.
    if (body === null || !typeOf(response).startsWith(request.accept)) {
      throw notTheService(request.accept, response);
    }
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await call.until(reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    call.end();
  }
}

/** The answer, which is one of success. */
async function send(endpoint: Endpoint, request: ApiRequest, call: Call): Promise<Response> {
  const { path, accept = 'application/json', body } = request;
  const headers: Record<string, string> = { accept };
  if (endpoint.token !== undefined) headers.authorization = `Bearer ${endpoint.token}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const response = await call.until(
    endpoint.fetch(endpoint.baseUrl + path, {
      headers,
      signal: call.signal,
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
    }),
  );
  if (response.ok) return response;
  throw refusal(response, await call.until(response.text()));
}

/** What an answer that isn't one of success says, in the service's words where they are the service's. */
export function refusal(response: Response, text: string): CollectorClientError {
  const retryAfterS = Number(response.headers.get('retry-after') ?? Number.NaN);
  const options = { retryAfterS: Number.isFinite(retryAfterS) ? retryAfterS : null };
  const reply = errorReply(text);
  if (reply !== null) {
    return new CollectorClientError(response.status, reply.code, reply.message, options);
  }
  const message = `${response.url} answered ${response.status} ${response.statusText}, not in the collector's words: is something else there, or between?`;
  return new CollectorClientError(response.status, 'REPLY_INVALID', message, options);
}

function errorReply(text: string): Pick<ErrorReply, 'code' | 'message'> | null {
  try {
    const reply = JSON.parse(text);
    return typeof reply?.code === 'string' && typeof reply.message === 'string' ? reply : null;
  } catch {
    return null;
  }
}

/** An object or a list: all that the API's JSON ever is. */
function parseReply(text: string, response: Response): object {
  let reply: unknown;
  try {
    reply = JSON.parse(text);
  } catch (cause) {
    throw notTheService('JSON', response, { cause });
  }
  if (typeof reply !== 'object' || reply === null) throw notTheService('an object of JSON', response);
  return reply;
}

/** For an answer of success that the service doesn't give. */
export function notTheService(
  expected: string,
  response: Response,
  options: ErrorOptions = {},
): CollectorClientError {
  const message = `Expected ${expected} from ${response.url}, found ${typeOf(response)}: is that the collector's address?`;
  return new CollectorClientError(response.status, 'REPLY_INVALID', message, options);
}

function typeOf({ headers }: Response): string {
  return headers.get('content-type') || 'nothing';
}

/** For messages: what may be long, or nobody's business, is left out. */
function placeOf({ baseUrl }: Endpoint, { path }: ApiRequest): string {
  return baseUrl + path.split('?')[0];
}

/** What ends a call early: the caller's signal, or time. */
interface Call {
  readonly signal: AbortSignal;
  /** What a step of the call gives; or throws, in the client's words. */
  until<T>(step: Promise<T>): Promise<T>;
  stopTimer(): void;
  /** Gives up what is still to come; nothing, after the end of the answer. */
  end(): void;
}

// AbortSignal.any() would do it, were it in Node 18.
function beginCall(url: string, { signal: given, timeoutMs = REQUEST_TIMEOUT_MS }: CallOptions): Call {
  given?.throwIfAborted();
  const ending = new AbortController();
  const { signal } = ending;
  const stopListening = onAbort(given, (reason) => ending.abort(reason));
  const timer = setTimeout(() => {
    const message = `No answer from ${url} within ${timeoutMs / 1000} s.`;
    ending.abort(new CollectorClientError(0, 'TIMEOUT', message));
  }, timeoutMs);
  return {
    signal,
    async until(step) {
      try {
        return await step;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        const message = `No answer from ${url}: ${reasonOf(error)}. Is the service running, and is it there?`;
        throw new CollectorClientError(0, 'UNREACHABLE', message, { cause: error });
      }
    },
    stopTimer: () => clearTimeout(timer),
    end() {
      clearTimeout(timer);
      stopListening();
      ending.abort();
    },
  };
}
