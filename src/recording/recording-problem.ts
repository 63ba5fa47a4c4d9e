import { errorCode, errorMessage } from '../shared/errors.ts';
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

/** Why nothing can be recorded to a folder, and what mends it. */
export function recordingProblem(path: string, error: unknown): RecordingProblem {
  const code = errorCode(error);
  const remedy = REMEDIES[code];
  const told = `The recording's folder ${path} can't be written to: ${errorMessage(error)}.`;
  return { code, message: remedy === undefined ? told : `${told} ${remedy}` };
}
