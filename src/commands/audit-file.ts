import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from '../shared/errors.ts';
import { AUDIT_FILE_BYTES_MAX, AUDIT_FILES_MAX } from '../shared/limits.ts';

/** Of each file's end: more than AUDIT_ENTRIES_KEPT lines as a rule. */
const TAIL_BYTES = 512 * 1024;

const NEWLINE = 10;

/**
 * Lines of text in a file that is rotated: `commands.log.1` is the newest of those that are full. It is opened for each
 * write, so that what is written is in the file of that name also where somebody has moved it away or deleted it.
 */
export class AuditFile {
  readonly #path: string;
  readonly #bytesMax: number;
  /** Whether the file is known to end with a whole line. */
  #isEndSound = false;

  constructor(path: string, bytesMax = AUDIT_FILE_BYTES_MAX) {
    this.#path = path;
    this.#bytesMax = bytesMax;
  }

  /** Appends whole lines, all or none of them; rejects with what the system says. */
  async append(text: string, isDurable: boolean): Promise<void> {
    const path = this.#path;
    let file = await openForAppending(path);
    try {
      let { size } = await file.stat();
      if (size > 0 && size + Buffer.byteLength(text) > this.#bytesMax) {
        await file.close();
        await rotate(path);
        file = await openForAppending(path);
        ({ size } = await file.stat());
      }
      const isEndSound = this.#isEndSound || size === 0 || (await endsWithNewline(file, size));
      this.#isEndSound = false;
      try {
        await file.appendFile(isEndSound ? text : `\n${text}`);
      } catch (error) {
        // Half a line is worse than none.
        await file.truncate(size).catch(() => {});
        throw error;
      }
      this.#isEndSound = true;
      if (!isDurable) return;
      await file.datasync();
      if (size === 0) await syncFolder(dirname(path));
    } finally {
      await file.close();
    }
  }

  /** What the last lines say, of the file that was rotated last, too; the newest last. */
  async lastLines(): Promise<string[]> {
    const texts = [await readTail(`${this.#path}.1`), await readTail(this.#path)];
    return texts.flatMap((text) => text.split('\n')).filter((line) => line !== '');
  }
}

/** Who may command the vehicle is nobody else's business: only the service's user reads it. */
function openForAppending(path: string): Promise<FileHandle> {
  return open(path, 'a+', 0o600);
}

async function endsWithNewline(file: FileHandle, size: number): Promise<boolean> {
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === NEWLINE;
}

/** Makes `path` the first of the rotated files; the last one goes. */
async function rotate(path: string): Promise<void> {
  for (let number = AUDIT_FILES_MAX - 2; number >= 0; number--) {
    const from = number === 0 ? path : `${path}.${number}`;
    await rename(from, `${path}.${number + 1}`).catch((error) => {
      if (errorCode(error) !== 'ENOENT') throw error;
    });
  }
}

/** So that a file that was just made is there after a power cut. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

/** The whole lines among the last TAIL_BYTES of a file; nothing where there is none. */
async function readTail(path: string): Promise<string> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size, TAIL_BYTES)), {
      position: start,
    });
    const text = buffer.toString('utf8', 0, bytesRead);
    return start === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    await file.close();
  }
}
