import { CollectorClientError, type CommandRequest } from '../../../src/client/index.ts';
import { commandBuses, emergencyStop } from './commands.ts';
import { connection } from './connection.svelte.ts';
import { type Session, session } from './session.svelte.ts';

export interface Attempt {
  readonly id: number;
  readonly atS: number;
  readonly what: string;
  readonly outcome: 'sending' | 'acknowledged' | 'failed';
  readonly detail: string;
}

const ATTEMPTS_KEPT = 8;

/** Sends commands and keeps what became of them, whichever view is shown meanwhile. */
export class CommandSender {
  attempts = $state.raw<readonly Attempt[]>([]);
  readonly #session: Session;
  #nextId = 1;

  constructor(session: Session) {
    this.#session = session;
  }

  async send(request: CommandRequest, what: string): Promise<void> {
    const id = this.#nextId++;
    const note = (outcome: Attempt['outcome'], detail: string) => {
      const attempt = { id, atS: this.#session.store.nowS(), what, outcome, detail };
      this.attempts = [attempt, ...this.attempts.filter((each) => each.id !== id)].slice(0, ATTEMPTS_KEPT);
    };
    note('sending', '');
    try {
      const reply = await this.#session.api.client.command(request);
      note('acknowledged', `on ${reply.bus}, after ${reply.round_trip_ms.toFixed(1)} ms`);
    } catch (error) {
      note('failed', error instanceof Error ? error.message : String(error));
      if (error instanceof CollectorClientError && [401, 403].includes(error.statusCode))
        connection.isTokenAsked = true;
    }
  }

  /** On every bus: which of them has the motors isn't known here. */
  stopVehicle(): void {
    const stop = emergencyStop(this.#session.protocol?.component_types ?? {});
    if (stop === null) return;
    const buses = commandBuses(this.#session.status);
    for (const bus of buses.length > 1 ? buses : [undefined])
      void this.send({ ...stop, bus }, 'Emergency stop');
  }
}

export const sender = new CommandSender(session);
