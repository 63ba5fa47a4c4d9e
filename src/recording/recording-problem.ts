import { CollectorError, errorCode, errorMessage } from '../shared/errors.ts';
import type { RecordingProblem } from './recording-messages.ts';

/** What mends a folder that can't be recorded to, by the system's errors (errno(3)). */
const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: make room on it, or give the recording less (recording.max_bytes).',
  EDQUOT:
    "This user's share of the disk is full: make room on it, or give the recording less (recording.max_bytes).",
  EROFS: 'Its file system is mounted read-only: a card that fails is made so by the kernel (see dmesg).',
  EIO: 'The disk fails (see dmesg): replace it, or record elsewhere (recording.path).',
  ENOTDIR: 'A file is where a folder is to be: record elsewhere (recording.path).',
  EACCES: 'It is to be a folder that the user of the service may write to: sudo chown USER FOLDER.',
  EPERM: 'It is to be a folder that the user of the service may write to: sudo chown USER FOLDER.',
};

/** Two of them would take each other's oldest files for their own. */
export function inUseError(path: string): CollectorError {
  const message = `Another telemetry-collector records to ${path}. Stop it, or give this one a folder of its own (--recording FOLDER).`;
  return new CollectorError('RECORDING_IN_USE', message);
}

/** Why nothing can be recorded to a folder, and what mends it. */
export function recordingProblem(path: string, error: unknown): RecordingProblem {
  const code = errorCode(error);
  if (error instanceof CollectorError) return { code, message: error.message };
  const remedy = REMEDIES[code];
  const told = `The recording's folder ${path} can't be written to: ${errorMessage(error)}.`;
  return { code, message: remedy === undefined ? told : `${told} ${remedy}` };
}
