import { BusError } from '../shared/errors.ts';
import { SEND_QUEUE_FRAMES_MAX } from '../shared/limits.ts';
import type { BusProblem } from './bus-messages.ts';
import { type CanFrame, frameProblem } from './can-frame.ts';

interface Waiting {
  resolve(): void;
  reject(error: BusError): void;
}

export interface SendQueueOptions {
  readonly busName: string;
  /** Hands a frame to the bus's thread; false where there is none that takes it. settle() is called with its number. */
  readonly give: (id: number, frame: CanFrame) => boolean;
}

/** The frames of a bus that wait to be sent, SEND_QUEUE_FRAMES_MAX at most, and who waits for what becomes of each. */
export class SendQueue {
  readonly #options: SendQueueOptions;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #sent = 0;
  #failures = 0;

  constructor(options: SendQueueOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get sent(): number {
    return this.#sent;
  }

  /** Frames that were to be sent, and weren't. */
  get failures(): number {
    return this.#failures;
  }

  /** See Bus.send. */
  add(frame: CanFrame): Promise<void> {
    const { busName, give } = this.#options;
    const wrong = frameProblem(frame);
    if (wrong !== null) return Promise.reject(new BusError('BUS_FRAME_INVALID', wrong));
    if (this.#waiting.size >= SEND_QUEUE_FRAMES_MAX) {
      const full = `${SEND_QUEUE_FRAMES_MAX} frames already wait to be sent on ${busName}.`;
      return this.#refuse('BUS_SEND_QUEUE_FULL', full);
    }
    const id = this.#nextId++;
    if (!give(id, frame)) {
      return this.#refuse('BUS_UNAVAILABLE', `The bus ${busName} is not running: nothing was sent.`);
    }
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #refuse(code: string, message: string): Promise<never> {
    this.#failures++;
    return Promise.reject(new BusError(code, message));
  }

  /** What became of a frame. */
  settle(id: number, problem: BusProblem | null): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    if (problem !== null) {
      this.#failures++;
      waiting.reject(new BusError(problem.code, problem.message));
      return;
    }
    this.#sent++;
    waiting.resolve();
  }

  /** The bus's thread is gone, and the frames with it. */
  failAll(): void {
    const message = `The bus ${this.#options.busName} stopped: the frame wasn't sent.`;
    for (const id of [...this.#waiting.keys()]) this.settle(id, { code: 'BUS_UNAVAILABLE', message });
  }
}
