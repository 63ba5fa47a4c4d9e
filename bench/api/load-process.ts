import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A process that loads the service, so that what a client costs isn't taken from the service's thread or the measurer's. */
export interface LoadProcess<Asked, Answer> {
  readonly pid: number;
  /** One question at a time. */
  ask(asked: Asked): Promise<Answer>;
  stop(): Promise<void>;
}

/** Starts a program of this folder that answers by answerLoads(). */
export function startLoad<Asked, Answer>(program: string): LoadProcess<Asked, Answer> {
  const child = fork(fileURLToPath(new URL(`./${program}.ts`, import.meta.url)));
  const ended = once(child, 'exit');
  return {
    pid: child.pid!,
    async ask(asked) {
      const answered = nextMessage<Answer>(child, program);
      child.send(asked as object);
      return await answered;
    },
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

function nextMessage<Answer>(child: ChildProcess, program: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error(`${program} has ended before it answered`));
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      resolve(answer as Answer);
    });
  });
}

/** The program's side: answers what it is asked, and ends when nobody can ask any more, whatever it is connected to. */
export function answerLoads<Asked, Answer>(measure: (asked: Asked) => Promise<Answer>): void {
  process.on('disconnect', () => process.exit());
  process.on('message', (asked) => {
    measure(asked as Asked).then(
      (answer) => process.send!(answer),
      (error) => {
        process.stderr.write(`${error}\n`);
        process.exit(1);
      },
    );
  });
}

/** The value below which such a part of the sorted values lies. */
export function quantile(sorted: ArrayLike<number>, part: number): number {
  if (sorted.length === 0) throw new Error('nothing was measured');
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
}
