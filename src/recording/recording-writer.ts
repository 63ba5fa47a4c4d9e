import { constants, zstdCompressSync } from 'node:zlib';
import { CANDUMP_LINE_BYTES_MAX, CandumpFormatter } from '../bus/log/candump-format.ts';
import { lockFolder } from '../shared/folder-lock.ts';
import { RECORDING_RETRY_MS, RECORDING_TEXT_BYTES } from '../shared/limits.ts';
import { makeFolder } from '../shared/make-folder.ts';
import type { FrameRing } from './frame-ring.ts';
import { RecordingFiles, type RecordingFilesOptions } from './recording-files.ts';
import type { RecorderProgress, RecordingProblem } from './recording-messages.ts';
import { inUseError, recordingProblem } from './recording-problem.ts';

const { ZSTD_c_checksumFlag, ZSTD_c_compressionLevel } = constants;

/** Measured on the kart's traffic, see ARCHITECTURE.md: higher levels take more time than they save room. */
const ZSTD_PARAMETERS = { [ZSTD_c_compressionLevel]: 1, [ZSTD_c_checksumFlag]: 1 };

/** Frames that are taken at once, and the room that their lines may need. */
const SLICE_FRAMES = 1024;
const SLICE_BYTES_MAX = SLICE_FRAMES * CANDUMP_LINE_BYTES_MAX;

export interface RecordingWriterOptions extends Omit<RecordingFilesOptions, 'onVanished'> {
  readonly channels: readonly string[];
  /** Told that somebody has deleted the file that was written to, and of how many frames nothing is left for it. */
  readonly onVanished?: (file: string, frames: number) => void;
}

/**
 * Takes frames out of a ring, makes text of them, and appends that to files. Where the disk refuses it, the frames
 * are counted and thrown away until it is tried again; nothing here throws but what is a mistake of the code.
 */
export class RecordingWriter {
  readonly #options: RecordingWriterOptions;
  readonly #files: RecordingFiles;
  readonly #formatter: CandumpFormatter;
  readonly #monotonicMs: () => number;
  readonly #text = new Uint8Array(RECORDING_TEXT_BYTES);
  #textEnd = 0;
  #textFirstUs = 0;
  #textFrames = 0;
  /** Frames written to the file, but not yet known to be durable. */
  #framesUnsynced = 0;
  #frames = 0;
  #framesRefused = 0;
  #bytesWritten = 0;
  #problem: RecordingProblem | null = null;
  #retryAtMs = 0;
  /** The problem is one of open(): nothing is written before that is over, which may come without a frame. */
  #isUnopened = false;
  #unlock: (() => void) | null = null;

  constructor(options: RecordingWriterOptions) {
    this.#options = options;
    this.#files = new RecordingFiles({ ...options, onVanished: (file) => this.#vanished(file) });
    this.#formatter = new CandumpFormatter(options.channels);
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  /** Takes the folder, and looks whether it can be written to, ahead of the first frame. */
  open(): void {
    const { path } = this.#options;
    try {
      makeFolder(path);
      this.#unlock ??= lockFolder(path);
      if (this.#unlock === null) throw inUseError(path);
      this.#files.open();
      this.#problem = null;
    } catch (error) {
      this.#pause(error);
    }
    this.#isUnopened = this.#problem !== null;
  }

  /** Writes what is in the ring; sync() makes it durable. */
  drain(ring: FrameRing): void {
    for (;;) {
      const frames = ring.read(SLICE_FRAMES, this.#take);
      const isLast = frames < SLICE_FRAMES;
      if (isLast || this.#textEnd + SLICE_BYTES_MAX > RECORDING_TEXT_BYTES) this.#write();
      if (isLast) return;
    }
  }

  readonly #take = (
    bus: number,
    timestampUs: number,
    canId: number,
    flags: number,
    payload: Uint8Array,
    payloadAt: number,
    payloadBytes: number,
  ): void => {
    if (this.#textFrames === 0) this.#textFirstUs = timestampUs;
    this.#textFrames++;
    this.#textEnd = this.#formatter.write(
      this.#text,
      this.#textEnd,
      bus,
      timestampUs,
      canId,
      flags,
      payload,
      payloadAt,
      payloadBytes,
    );
  };

  #write(): void {
    const frames = this.#textFrames;
    if (frames === 0) return;
    const text = this.#text.subarray(0, this.#textEnd);
    this.#textEnd = 0;
    this.#textFrames = 0;
    if (this.#problem !== null && this.#monotonicMs() < this.#retryAtMs) {
      this.#framesRefused += frames;
      return;
    }
    if (this.#isUnopened) this.open();
    if (this.#isUnopened) {
      this.#framesRefused += frames;
      return;
    }
    try {
      const isCompressed = this.#options.compress === 'zstd';
      const bytes = isCompressed ? zstdCompressSync(text, { params: ZSTD_PARAMETERS }) : text;
      this.#files.append(bytes, this.#textFirstUs);
      this.#bytesWritten += bytes.length;
      this.#framesUnsynced += frames;
      this.#problem = null;
    } catch (error) {
      this.#framesRefused += frames;
      this.#pause(error);
    }
  }

  /** Makes durable what was written, and ends a file that is old enough. */
  sync(): void {
    this.#settle(() => {
      this.#files.sync();
      this.#files.finishIfOld();
    });
    if (this.#isUnopened && this.#monotonicMs() >= this.#retryAtMs) this.open();
  }

  close(): void {
    this.#settle(() => this.#files.finish());
    this.#unlock?.();
    this.#unlock = null;
  }

  #settle(makeDurable: () => void): void {
    try {
      makeDurable();
      this.#frames += this.#framesUnsynced;
    } catch (error) {
      this.#framesRefused += this.#framesUnsynced;
      this.#pause(error);
    }
    this.#framesUnsynced = 0;
  }

  #vanished(file: string): void {
    const frames = this.#framesUnsynced;
    this.#framesRefused += frames;
    this.#framesUnsynced = 0;
    this.#options.onVanished?.(file, frames);
  }

  #pause(error: unknown): void {
    this.#problem = recordingProblem(this.#options.path, error);
    this.#retryAtMs = this.#monotonicMs() + RECORDING_RETRY_MS;
  }

  get progress(): RecorderProgress {
    const files = this.#files;
    return {
      state: this.#problem === null ? 'recording' : 'paused',
      problem: this.#problem,
      frames: this.#frames,
      framesRefused: this.#framesRefused,
      bytesWritten: this.#bytesWritten,
      file: files.file,
      files: files.files,
      bytes: files.bytes,
      filesDeleted: files.filesDeleted,
      bytesDeleted: files.bytesDeleted,
    };
  }
}
