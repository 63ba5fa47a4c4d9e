import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

/** An answer as it came: fetch() would take off what it was compressed with. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface RawOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Of an answer that doesn't end: when enough of it has come. */
  readonly until?: (body: string) => boolean;
}

export async function rawRequest(url: string, options: RawOptions = {}): Promise<RawAnswer> {
  const response = await rawStream(url, options);
  const { until } = options;
  const body = until === undefined ? await buffer(response) : await bufferUntil(response, until);
  return { status: response.statusCode!, headers: response.headers, body };
}

async function bufferUntil(response: IncomingMessage, until: (body: string) => boolean): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of response) {
    pieces.push(piece);
    // Leaving the loop ends the connection.
    if (until(Buffer.concat(pieces).toString())) break;
  }
  return Buffer.concat(pieces);
}

/** The same when the head has come; the body is to be read. */
export async function rawStream(url: string, options: RawOptions = {}): Promise<IncomingMessage> {
  const { method = 'GET', headers = {}, body } = options;
  const asked = request(url, { method, headers, agent: false });
  asked.end(body);
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return response;
}

/** What a body was before it was compressed. */
export function decoded({ headers, body }: RawAnswer): Buffer {
  const encoding = headers['content-encoding'];
  if (encoding === undefined) return body;
  if (encoding === 'gzip') return gunzipSync(body);
  if (encoding === 'zstd') return zstdDecompressSync(body);
  throw new Error(`an answer is encoded as ${encoding}`);
}
