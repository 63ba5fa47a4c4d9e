import { Worker } from 'node:worker_threads';
import { errorMessage } from '../../shared/errors.ts';
import { threadModule } from '../../shared/thread-module.ts';
import type { FromWriter, WriterThreadData } from '../history-messages.ts';

export type OpenedHistory = Extract<FromWriter, { kind: 'opened' }>;
type RefusedHistory = Extract<FromWriter, { kind: 'refused' }>;

export interface StartedWriter {
  readonly writer: Worker;
  /** Where it is refused the thread ends by itself. */
  readonly answer: OpenedHistory | RefusedHistory;
}

/** Starts the writer's thread; resolves when it has the database open, or knows why not. What it meets meanwhile that can't be read is told. */
export function startWriter(
  workerData: WriterThreadData,
  onDamage: (message: string) => void,
): Promise<StartedWriter> {
  const writer = new Worker(threadModule(import.meta.url, 'history-writer-thread'), {
    workerData,
    name: 'history writer',
  });
  return new Promise((resolve) => {
    const answered = (answer: StartedWriter['answer']) => {
      writer.off('message', heard);
      writer.off('error', died);
      resolve({ writer, answer });
    };
    const heard = (message: FromWriter) => {
      if (message.kind === 'damaged') onDamage(message.message);
      else if (message.kind === 'opened' || message.kind === 'refused') answered(message);
    };
    const died = (error: unknown) => {
      const message = `The history's writer ended: ${errorMessage(error)}`;
      answered({ kind: 'refused', error: { code: 'HISTORY_UNAVAILABLE', message }, held: null });
    };
    writer.on('message', heard);
    writer.on('error', died);
  });
}
