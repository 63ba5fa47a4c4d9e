import { parentPort, workerData } from 'node:worker_threads';
import { errorCode, errorMessage } from '../../shared/errors.ts';
import { collectGarbage } from '../../shared/garbage.ts';
import { yieldToOtherThreads } from '../../shared/thread-priority.ts';
import { openForReading } from '../database/database.ts';
import type { Answer, FromReader, HistoryThreadData, Question, ToReader } from '../history-messages.ts';
import { buffersOfColumns } from '../history-query.ts';
import { HistoryReader } from './history-reader.ts';
import { SampleTail } from './sample-tail.ts';

/** The thread that answers queries; it starts when the writer has made sure of the database. */

// An export keeps this thread busy for as long as it takes; what comes in meanwhile goes ahead of it.
yieldToOtherThreads();

const port = parentPort!;
const { path, batches } = workerData as HistoryThreadData;
const database = openForReading(path);
const reader = new HistoryReader(database, new SampleTail(batches), (message, block) =>
  post({ kind: 'damaged', message, block: block ?? null }),
);

port.on('message', (message: ToReader) => {
  if (message.kind === 'close') {
    database.close();
    port.close();
    return;
  }
  const { id, question, series } = message;
  try {
    reader.addSeries(series);
    const answer = answerTo(question);
    post({ kind: 'answer', id, answer }, buffersOf(answer));
  } catch (error) {
    post({ kind: 'failed', id, error: { code: errorCode(error), message: errorMessage(error) } });
  }
  collectGarbage();
});

function answerTo(question: Question): Answer {
  switch (question.kind) {
    case 'page':
      return reader.page(question.query, question.memory);
    case 'series':
      return reader.series(question.query);
    case 'columns':
      return reader.columns(question.query, question.reuse);
    case 'gaps':
      return reader.gaps(question.query);
  }
}

/** What goes to the main thread as it is, without a copy. */
function buffersOf(answer: Answer): ArrayBuffer[] {
  if (answer instanceof Uint8Array) return [answer.buffer as ArrayBuffer];
  if ('text' in answer) return [answer.text.buffer as ArrayBuffer];
  return buffersOfColumns(answer);
}

function post(message: FromReader, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
