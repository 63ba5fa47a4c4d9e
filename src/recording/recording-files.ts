import {
  accessSync,
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { recordingFileName, recordingFileNumber } from '../bus/log/recording-file.ts';
import { makeFolder } from '../shared/make-folder.ts';
import type { RecordingFormat } from './recording-messages.ts';

export interface RecordingFilesOptions extends RecordingFormat {
  /** Milliseconds that only go forward. */
  readonly monotonicMs?: () => number;
  readonly onDeleted?: (file: string, bytes: number) => void;
  readonly onUndeletable?: (file: string, error: unknown) => void;
  /** Told that somebody else has deleted the active file, with all that was in it; the next append() begins another. */
  readonly onVanished?: (file: string) => void;
}

interface StoredFile {
  readonly name: string;
  readonly number: number;
  readonly bytes: number;
}

/**
 * The files of a recording: one is appended to, until it is large or old enough and another is begun; the oldest
 * are deleted where all of them would exceed their bound. Everything is synchronous, and throws what the system says.
 */
export class RecordingFiles {
  readonly #options: RecordingFilesOptions;
  readonly #monotonicMs: () => number;
  /** Without the active one; the oldest first. Null until the folder was looked at. */
  #stored: StoredFile[] | null = null;
  #storedBytes = 0;
  #nextNumber = 1;
  #fd = -1;
  #active = { name: '', number: 0, bytes: 0, begunMs: 0 };
  #filesDeleted = 0;
  #bytesDeleted = 0;

  constructor(options: RecordingFilesOptions) {
    this.#options = options;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  get file(): string | null {
    return this.#fd < 0 ? null : this.#active.name;
  }

  get files(): number {
    return (this.#stored?.length ?? 0) + (this.#fd < 0 ? 0 : 1);
  }

  get bytes(): number {
    return this.#storedBytes + (this.#fd < 0 ? 0 : this.#active.bytes);
  }

  get filesDeleted(): number {
    return this.#filesDeleted;
  }

  get bytesDeleted(): number {
    return this.#bytesDeleted;
  }

  /** Makes the folder and looks at what is in it now; throws where it couldn't be written to. */
  open(): void {
    this.#stored = null;
    this.#look();
    accessSync(this.#options.path, constants.W_OK | constants.X_OK);
  }

  /**
   * Appends bytes that are whole by themselves: lines, or a frame of zstd. A write that fails leaves the file as it
   * was, or closes it.
   */
  append(bytes: Uint8Array, firstFrameUs: number): void {
    this.#look();
    if (this.#fd >= 0 && this.#active.bytes + bytes.length > this.#options.maxFileBytes) this.finish();
    this.#makeRoom(bytes.length);
    if (this.#fd < 0) this.#begin(firstFrameUs);
    try {
      for (let at = 0; at < bytes.length; ) {
        at += writeSync(this.#fd, bytes, at, bytes.length - at, this.#active.bytes + at);
      }
    } catch (error) {
      this.#undo();
      throw error;
    }
    this.#active.bytes += bytes.length;
  }

  /** Makes durable what was appended. */
  sync(): void {
    if (this.#fd < 0) return;
    try {
      fdatasyncSync(this.#fd);
      // A file that has no name any more goes on taking what is written to it, for nobody.
      if (fstatSync(this.#fd).nlink > 0) return;
    } catch (error) {
      // What the disk holds of it now nobody knows: nothing is appended to it any more.
      this.#close();
      throw error;
    }
    const { name, bytes } = this.#active;
    this.#close();
    this.#stored!.pop();
    this.#storedBytes -= bytes;
    this.#options.onVanished?.(name);
  }

  /** Ends the active file where it has been written to for long enough. */
  finishIfOld(): void {
    if (this.#fd >= 0 && this.#monotonicMs() - this.#active.begunMs >= this.#options.maxFileAgeMs)
      this.finish();
  }

  /** Ends the active file, made durable; the next append() begins another. */
  finish(): void {
    this.sync();
    this.#close();
  }

  #look(): void {
    if (this.#stored !== null) return;
    const { path } = this.#options;
    makeFolder(path);
    const stored = readdirSync(path)
      .flatMap((name): StoredFile[] => {
        const number = recordingFileNumber(name);
        return number === null ? [] : [{ name, number, bytes: statSync(join(path, name)).size }];
      })
      .toSorted((left, right) => left.number - right.number);
    this.#stored = stored;
    this.#storedBytes = stored.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#nextNumber = (stored.at(-1)?.number ?? 0) + 1;
  }

  #begin(firstFrameUs: number): void {
    const { path, compress } = this.#options;
    makeFolder(path);
    const number = this.#nextNumber++;
    const name = recordingFileName(firstFrameUs, number, compress === 'zstd');
    this.#fd = openSync(join(path, name), 'wx');
    this.#active = { name, number, bytes: 0, begunMs: this.#monotonicMs() };
    // Its name is durable with its folder, not with itself.
    const folder = openSync(path, 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }

  /** Deletes the oldest files until so many bytes more are within the bound. */
  #makeRoom(bytes: number): void {
    const { maxBytes } = this.#options;
    if (maxBytes === null) return;
    const stored = this.#stored!;
    while (this.bytes + bytes > maxBytes) {
      if (stored.length === 0) {
        if (this.#fd < 0) return;
        this.finish();
        continue;
      }
      this.#delete(stored.shift()!);
    }
  }

  #delete({ name, bytes }: StoredFile): void {
    const { path, onDeleted, onUndeletable } = this.#options;
    this.#storedBytes -= bytes;
    try {
      rmSync(join(path, name), { force: true });
    } catch (error) {
      // Not counted any more, as it would keep the newer ones from being deleted.
      onUndeletable?.(name, error);
      return;
    }
    this.#filesDeleted++;
    this.#bytesDeleted += bytes;
    onDeleted?.(name, bytes);
  }

  /** Takes back a write that failed half done: what followed it would be lost to a reader. */
  #undo(): void {
    try {
      ftruncateSync(this.#fd, this.#active.bytes);
    } catch {
      this.#close();
    }
  }

  #close(): void {
    if (this.#fd < 0) return;
    try {
      closeSync(this.#fd);
    } catch {
      // Its data were synced, or that failed and was told.
    }
    this.#fd = -1;
    const { name, number, bytes } = this.#active;
    this.#stored!.push({ name, number, bytes });
    this.#storedBytes += bytes;
  }
}
