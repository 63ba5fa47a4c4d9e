import { open } from 'node:fs/promises';
import { LOG_TAIL_BYTES_MAX } from '../../shared/limits.ts';

/** The last lines of a file of JSON lines, of its last LOG_TAIL_BYTES_MAX; what is torn or no JSON is left out. */
export async function logTail(path: string, lines: number): Promise<Record<string, unknown>[]> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (file === null) return [];
  try {
    const { size } = await file.stat();
    const length = Math.min(size, LOG_TAIL_BYTES_MAX);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8', 0, bytesRead).split('\n').flatMap(parseLine).slice(-lines);
  } finally {
    await file.close();
  }
}

function parseLine(line: string): Record<string, unknown>[] {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? [entry as Record<string, unknown>] : [];
  } catch {
    return [];
  }
}
