import { parentPort, workerData } from 'node:worker_threads';
import { errorCode, errorMessage } from '../shared/errors.ts';
import { openForReading } from './database.ts';
import type { FromReader, HistoryThreadData, ToReader } from './history-messages.ts';
import { HistoryReader } from './history-reader.ts';
import { SampleTail } from './sample-tail.ts';

/** The thread that answers queries; it starts when the writer has made sure of the database. */

const port = parentPort!;
const { path, batches } = workerData as HistoryThreadData;
const database = openForReading(path);
const reader = new HistoryReader(database, new SampleTail(batches), (message) =>
  post({ kind: 'damaged', message }),
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
    const answer = question.kind === 'page' ? reader.page(question.query) : reader.series(question.query);
    const { buffer } = answer instanceof Uint8Array ? answer : answer.text;
    post({ kind: 'answer', id, answer }, [buffer as ArrayBuffer]);
  } catch (error) {
    post({ kind: 'failed', id, error: { code: errorCode(error), message: errorMessage(error) } });
  }
});

function post(message: FromReader, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
