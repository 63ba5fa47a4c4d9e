import { get } from 'node:http';
import { answerLoads } from './load-process.ts';

/** Takes the whole history as NDJSON for as long as it is told to: a load process of api.ts. */

export interface ExportLoad {
  readonly url: string;
  /** What is broken off when another question comes; null to break off alone. */
  readonly path: string | null;
}

export interface ExportLoadResult {
  /** That came of the export that was broken off. */
  readonly bytes: number;
  readonly isComplete: boolean;
}

let stop: () => ExportLoadResult = () => ({ bytes: 0, isComplete: false });

/** Answers once the export flows, or is over. */
answerLoads<ExportLoad, ExportLoadResult>(async ({ url, path }) => {
  const stopped = stop();
  if (path !== null) stop = await start(url + path);
  return stopped;
});

function start(url: string): Promise<() => ExportLoadResult> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let isStopped = false;
    const request = get(url, { headers: { accept: 'application/x-ndjson' } }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`the export was answered ${response.statusCode}`));
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        resolve(() => {
          isStopped = true;
          request.destroy();
          return { bytes, isComplete: response.complete };
        });
      });
      response.on('error', () => undefined);
    });
    request.on('error', (error) => {
      if (!isStopped) reject(error);
    });
  });
}
