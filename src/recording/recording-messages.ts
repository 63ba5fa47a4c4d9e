/** How a recording is to be written. */
export interface RecordingFormat {
  /** The folder of its files; made where it isn't there. */
  readonly path: string;
  /** What a file grows to before another is begun. */
  readonly maxFileBytes: number;
  /** How long a file is written to at most. */
  readonly maxFileAgeMs: number;
  /** What all files of the folder come to at most, the oldest deleted first; null: no bound. */
  readonly maxBytes: number | null;
  readonly compress: 'zstd' | 'none';
}

export interface RecorderThreadData extends RecordingFormat {
  /** Of a FrameRing. */
  readonly shared: SharedArrayBuffer;
  /** What stands for each bus in a line. */
  readonly channels: readonly string[];
}

export interface RecordingProblem {
  readonly code: string;
  readonly message: string;
}

/** What the recorder's thread says of itself. */
export interface RecorderProgress {
  /** `paused`: the disk refuses what is written. */
  readonly state: 'recording' | 'paused';
  readonly problem: RecordingProblem | null;
  /** Frames that are on the disk. */
  readonly frames: number;
  /** Frames that the disk didn't take. */
  readonly framesRefused: number;
  /** Bytes written to files since the start. */
  readonly bytesWritten: number;
  /** The file that is written to, by its name. */
  readonly file: string | null;
  /** All files of the folder. */
  readonly files: number;
  readonly bytes: number;
  readonly filesDeleted: number;
  readonly bytesDeleted: number;
}

export type FromRecorder =
  | { readonly kind: 'progress'; readonly progress: RecorderProgress }
  | { readonly kind: 'deleted'; readonly file: string; readonly bytes: number }
  | { readonly kind: 'undeletable'; readonly file: string; readonly problem: RecordingProblem }
  /** Somebody else has deleted the file that was written to, and with it frames that are counted as refused. */
  | { readonly kind: 'vanished'; readonly file: string; readonly frames: number }
  /** There is room in the ring again, which a source had waited for. */
  | { readonly kind: 'room' };
