import type { SampleReply } from '../api/schemas.ts';
import { CollectorClientError } from './client-error.ts';
import { LINE_CHARS_MAX } from './limits.ts';

/**
 * The samples of NDJSON, an object a line, as its bytes come. Throws CollectorClientError REPLY_INVALID where a line
 * is no JSON, or the last one was cut off.
 */
export async function* samplesOfLines(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<SampleReply, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    if (rest.length > LINE_CHARS_MAX) throw invalidLine(rest);
    for (const line of lines) yield parseLine(line);
  }
  if (rest !== '') throw invalidLine(rest);
}

function parseLine(line: string): SampleReply {
  try {
    return JSON.parse(line);
  } catch {
    throw invalidLine(line);
  }
}

function invalidLine(line: string): CollectorClientError {
  const message = `Expected a sample as a line of JSON, found "${line.slice(0, 60)}".`;
  return new CollectorClientError(200, 'REPLY_INVALID', message);
}
