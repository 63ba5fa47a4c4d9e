import type { Logger } from 'pino';
import type { CanFrame } from '../bus/can-frame.ts';
import { errorMessage } from '../shared/errors.ts';
import { type FaultLog, rateLimited } from '../shared/log.ts';
import type { HostReader, HostReading } from './host-reader.ts';
import type { HostSample, HostSignals } from './host-signals.ts';

/** A bus that the health is sent on. */
export interface HealthBus {
  readonly name: string;
  readonly isOpen: boolean;
  send(frame: CanFrame): Promise<void>;
}

export interface HostHealthOptions {
  readonly intervalMs: number;
  readonly reader: HostReader;
  readonly signals: HostSignals;
  readonly sendOn: readonly HealthBus[];
  /** Takes what a reading came to, all of one moment. */
  readonly onSamples: (samples: readonly HostSample[]) => void;
  readonly log: Logger;
}

export interface HostHealthStatus {
  readonly intervalMs: number;
  readonly samples: number;
  readonly framesSent: number;
  readonly sendFailures: number;
}

/**
 * Tells this machine's own health, once an interval: as samples, and where it is wanted as STATUS frames. The first after
 * an interval, as loads and rates are those of a span. A reading that a disk or a sensor holds up is waited for, and no
 * other begun meanwhile.
 */
export class HostHealth {
  readonly #options: HostHealthOptions;
  readonly #logFault: FaultLog;
  #timer: NodeJS.Timeout | undefined;
  #isReading = false;
  #isStopped = false;
  #samples = 0;
  #framesSent = 0;
  #sendFailures = 0;

  constructor(options: HostHealthOptions) {
    this.#options = options;
    this.#logFault = rateLimited(options.log);
  }

  start(): void {
    void this.#read();
    this.#timer = setInterval(() => void this.#tell(), this.#options.intervalMs).unref();
  }

  /** Nothing is told any more, nor what is being read. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  status(): HostHealthStatus {
    return {
      intervalMs: this.#options.intervalMs,
      samples: this.#samples,
      framesSent: this.#framesSent,
      sendFailures: this.#sendFailures,
    };
  }

  async #tell(): Promise<void> {
    const reading = await this.#read();
    if (reading === null || this.#isStopped) return;
    const { signals, onSamples, sendOn } = this.#options;
    const samples = signals.samplesOf(reading);
    this.#samples += samples.length;
    onSamples(samples);
    for (const bus of sendOn) {
      // One that isn't there says so itself.
      if (bus.isOpen) for (const { frame } of samples) void this.#send(bus, frame);
    }
  }

  /** Null while a reading is under way. */
  async #read(): Promise<HostReading | null> {
    if (this.#isReading) return null;
    this.#isReading = true;
    try {
      return await this.#options.reader.read();
    } finally {
      this.#isReading = false;
    }
  }

  async #send(bus: HealthBus, frame: CanFrame): Promise<void> {
    try {
      await bus.send(frame);
      this.#framesSent++;
    } catch (error) {
      this.#sendFailures++;
      this.#logFault('warn', bus.name, { bus: bus.name, reason: errorMessage(error) }, 'health not sent');
    }
  }
}
