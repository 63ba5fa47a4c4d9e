import type { Logger } from 'pino';
import { encodeKartPayload, type KartMessage, MESSAGE_TYPE } from '../protocol/kart-codec.ts';
import type { ProtocolRegistry } from '../protocol/protocol-registry.ts';
import { wallClockUs } from '../shared/clock.ts';
import { BusError, errorMessage, QueryError } from '../shared/errors.ts';
import {
  COMMANDS_PER_SECOND_MAX,
  COMMANDS_WAITING_MAX,
  EMERGENCY_STOPS_WAITING_MAX,
} from '../shared/limits.ts';
import { type FaultLog, rateLimited } from '../shared/log.ts';
import type { AuditLog, AuditLogStatus } from './audit-log.ts';
import { type CommandBus, type Order, partsOf, resolveOrder } from './command-order.ts';
import { asQueryError, outcomeError, outcomeOf, reasonOf } from './command-outcome.ts';
import {
  type Asker,
  type CommandAnswer,
  type CommandRecord,
  type CommandRefusal,
  type CommandRequest,
  draftOf,
  shortened,
} from './command-record.ts';
import type { WatchResult } from './command-watch.ts';
import { TokenBucket } from './token-bucket.ts';

export interface CommandServiceOptions {
  readonly registry: ProtocolRegistry;
  readonly buses: readonly CommandBus[];
  readonly audit: AuditLog;
  /** How long a command waits for its echo, unless it says itself. */
  readonly timeoutMs: number;
  readonly log: Logger;
  /** Milliseconds that only go forward. */
  readonly monotonicMs?: () => number;
}

/** Counts since the start. All frames that were sent are acknowledged, timed out, refused by a node, cut off, or wait. */
export interface CommandStatus {
  readonly sent: number;
  readonly acknowledged: number;
  readonly timedOut: number;
  readonly refusedByNode: number;
  /** Not sent: not allowed, not understood, or too many at once. */
  readonly refused: number;
  /** That the bus, or the audit log, didn't take; or cut off by a stop of the service. */
  readonly failed: number;
  readonly waiting: number;
  /** Emergency stops that another's frame stood for, as it was still on its way to the bus. */
  readonly stopsJoined: number;
  readonly audit: AuditLogStatus;
}

/** What became of a frame, for all who asked for it. */
interface Ending {
  /** Of the command whose frame it was. */
  readonly id: string;
  /** When it was given to the bus, microseconds since the epoch. */
  readonly givenUs: number;
  /** Null where nobody watched for an answer. */
  readonly result: WatchResult | null;
}

interface StopOnTheWay {
  readonly id: string;
  readonly givenUs: number;
  readonly ending: Promise<Ending>;
}

/** What the protocol calls the value of an ERROR message that tells of the end of a fault. */
const OK_STATUS = 'STATUS_OK';

/**
 * Sends commands to the vehicle, and waits until a node echoes them. A command is understood, admitted, noted down,
 * sent, watched for, and noted down again, in this order, with these exits:
 *
 *   request ─▶ resolve ─▶ admit ─▶ audit ─▶ bus ─▶ watch ─▶ audit ─▶ answer
 *                 ▼         ▼        ▼       ▼       ▼
 *              refused   refused  failed  failed  refused by a node, timed out
 *
 * An emergency stop is sent whatever the limits say: it isn't counted against them, has places of its own to wait in,
 * and doesn't wait for the audit log, whose disk may be full. Not even many of them fill the bus: one that comes while
 * the same is still on its way to the bus is that one.
 */
export class CommandService {
  readonly #options: CommandServiceOptions;
  readonly #rate: TokenBucket;
  readonly #logStop: FaultLog;
  /** Stops that the bus hasn't taken yet, by what they say. */
  readonly #stopsOnTheWay = new Map<string, StopOnTheWay>();
  #isStopping = false;
  #waiting = 0;
  #stopsWaiting = 0;
  #sent = 0;
  #acknowledged = 0;
  #timedOut = 0;
  #refusedByNode = 0;
  #refused = 0;
  #failed = 0;
  #stopsJoined = 0;

  constructor(options: CommandServiceOptions) {
    this.#options = options;
    this.#rate = new TokenBucket(COMMANDS_PER_SECOND_MAX, COMMANDS_PER_SECOND_MAX, options.monotonicMs);
    this.#logStop = rateLimited(options.log);
  }

  start(): Promise<void> {
    return this.#options.audit.start();
  }

  /** Ends all waits, writes down that it did, and has those who waited answered. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const { watch } of this.#options.buses) watch.stop();
    // Those who waited note it down first.
    await new Promise(setImmediate);
    await this.#options.audit.stop();
    // Once that is on the disk, they are told.
    await new Promise(setImmediate);
  }

  /**
   * Sends a command and waits for its echo. Rejects with QueryError: 400 and a code of resolveOrder for what can't be a
   * command; 429 COMMANDS_TOO_MANY; 503 COMMANDS_WAITING, COMMAND_NOT_AUDITED, SERVICE_STOPPING or a code of Bus.send;
   * 502 COMMAND_REFUSED; 504 COMMAND_NOT_ACKNOWLEDGED.
   */
  async send(request: CommandRequest, asker: Asker): Promise<CommandAnswer> {
    const { registry, buses, audit, timeoutMs } = this.#options;
    const waitMs = request.timeoutMs ?? timeoutMs;
    let draft = draftOf(request, asker);
    let order: Order;
    try {
      order = resolveOrder(request, registry, buses);
      draft = { ...draft, ...partsOf(order) };
      this.#admit(order);
    } catch (error) {
      this.#refused++;
      await audit.noteRefusal({ ...draft, outcome: 'refused', ...reasonOf(error) });
      throw asQueryError(error, 400);
    }
    const isStop = order.isEmergencyStop;
    const isWatched = !isStop || this.#stopsWaiting < EMERGENCY_STOPS_WAITING_MAX;
    if (!isStop) this.#waiting++;
    else if (isWatched) this.#stopsWaiting++;
    try {
      const ending = isStop
        ? await this.#sendStop(order, draft, waitMs, isWatched)
        : await this.#sendOrdinary(order, draft, waitMs);
      return await this.#answer(order, draft, waitMs, ending);
    } finally {
      if (!isStop) this.#waiting--;
      else if (isWatched) this.#stopsWaiting--;
    }
  }

  /** Notes down an attempt that was refused before it was looked at. */
  async refuse({ code, message, asked }: CommandRefusal, asker: Asker): Promise<void> {
    this.#refused++;
    await this.#options.audit.noteRefusal({
      ...draftOf(null, asker),
      code,
      message: shortened(message),
      asked: asked === null ? null : shortened(asked),
    });
  }

  /** The newest attempts, the newest first. */
  newest(limit: number): CommandRecord[] {
    return this.#options.audit.newest(limit);
  }

  status(): CommandStatus {
    return {
      sent: this.#sent,
      acknowledged: this.#acknowledged,
      timedOut: this.#timedOut,
      refusedByNode: this.#refusedByNode,
      refused: this.#refused,
      failed: this.#failed,
      waiting: this.#waiting + this.#stopsWaiting,
      stopsJoined: this.#stopsJoined,
      audit: this.#options.audit.status(),
    };
  }

  /** Throws where a command is one too many. An emergency stop never is. */
  #admit({ isEmergencyStop }: Order): void {
    if (this.#isStopping) {
      throw new QueryError(503, 'SERVICE_STOPPING', 'The service is stopping: nothing is sent any more.');
    }
    if (isEmergencyStop) return;
    if (this.#waiting >= COMMANDS_WAITING_MAX) {
      throw new QueryError(
        503,
        'COMMANDS_WAITING',
        `${COMMANDS_WAITING_MAX} commands already wait for their echoes, so this one wasn't sent. Send it again when one of them has ended.`,
      );
    }
    if (!this.#rate.take()) {
      throw new QueryError(
        429,
        'COMMANDS_TOO_MANY',
        `At most ${COMMANDS_PER_SECOND_MAX} commands a second go out to the vehicle, so this one wasn't sent. Send it again in a moment.`,
      );
    }
  }

  /** Nothing is sent that nobody could know of afterwards. */
  async #sendOrdinary(order: Order, draft: CommandRecord, waitMs: number): Promise<Ending> {
    try {
      await this.#options.audit.write({ ...draft, outcome: 'sending' }, false);
    } catch (error) {
      this.#failed++;
      const message = `The command wasn't sent, as it couldn't be noted down. ${errorMessage(error)}`;
      const failure = new QueryError(503, 'COMMAND_NOT_AUDITED', message, { cause: error });
      throw await this.#noteFailure(draft, failure);
    }
    try {
      return await this.#convey(order, draft.id, waitMs);
    } catch (error) {
      throw await this.#noteFailure(draft, error);
    }
  }

  /** The audit log is told while the frame is on its way, and counts where it fails. */
  async #sendStop(order: Order, draft: CommandRecord, waitMs: number, isWatched: boolean): Promise<Ending> {
    const { bus, message } = order;
    const { id, component_type, component_id, value_name, principal } = draft;
    const key = `${bus.name} ${Object.values(message).join(' ')}`;
    let stop = this.#stopsOnTheWay.get(key);
    if (stop === undefined) {
      const done = () => this.#stopsOnTheWay.delete(key);
      stop = { id, givenUs: wallClockUs(), ending: this.#convey(order, id, isWatched ? waitMs : null, done) };
      this.#stopsOnTheWay.set(key, stop);
    } else {
      this.#stopsJoined++;
    }
    const what = `${component_type}/${component_id} ${value_name}`;
    this.#logStop('warn', key, { bus: bus.name, id, principal, what }, 'emergency stop');
    this.#options.audit.write({ ...draft, outcome: 'sending' }, false).catch(() => {});
    try {
      const isToldLater = isWatched || stop.id === id;
      return isToldLater ? await stop.ending : { ...stop, result: null };
    } catch (error) {
      throw await this.#noteFailure(draft, error);
    }
  }

  /**
   * Gives the frame to the bus and waits for what comes of it, where `waitMs` says how long. `gone` is called when it
   * isn't on its way to the bus any more.
   */
  async #convey(order: Order, id: string, waitMs: number | null, gone?: () => void): Promise<Ending> {
    const { bus, message } = order;
    const watched = waitMs === null ? null : bus.watch.watch(message, this.#okStatusOf(message));
    const givenUs = wallClockUs();
    try {
      await this.#give(order);
    } catch (error) {
      this.#failed++;
      watched?.stop();
      throw error;
    } finally {
      gone?.();
    }
    this.#sent++;
    watched?.sent(waitMs!);
    const result = (await watched?.result) ?? null;
    this.#count(result);
    return { id, givenUs, result };
  }

  async #give({ bus, message }: Order): Promise<void> {
    if (!bus.isOpen()) {
      const problem = bus.problem();
      const why = problem === null ? '' : ` ${problem}`;
      throw new BusError('BUS_UNAVAILABLE', `The bus ${bus.name} is not open, so nothing was sent.${why}`);
    }
    const payload = encodeKartPayload(message);
    await bus.send({ canId: bus.watch.nodeId, isExtended: false, payload });
  }

  #count(result: WatchResult | null): void {
    const outcome = outcomeOf(result);
    if (outcome === 'acknowledged') this.#acknowledged++;
    else if (outcome === 'refused_by_node') this.#refusedByNode++;
    else if (outcome === 'timed_out') this.#timedOut++;
    else this.#failed++;
  }

  /** The value of an ERROR message about the same that refuses nothing. */
  #okStatusOf({ componentType, componentId, commandId }: KartMessage): number | null {
    const { registry } = this.#options;
    return registry.valueNumber(MESSAGE_TYPE.ERROR, componentType, componentId, commandId, OK_STATUS);
  }

  /** Tells what came of a frame that was sent, once that is noted down. */
  async #answer(
    order: Order,
    draft: CommandRecord,
    waitMs: number,
    { id, givenUs, result }: Ending,
  ): Promise<CommandAnswer> {
    const sentUs = result?.ownUs ?? givenUs;
    const answer = result?.answer ?? null;
    const roundTripMs = answer === null ? null : Math.max(0, answer.timestampUs - sentUs) / 1000;
    const error = outcomeError(order, sentUs, waitMs, result, this.#options.registry);
    const isAudited = await this.#note({
      ...draft,
      outcome: outcomeOf(result),
      ...(error === null ? {} : reasonOf(error)),
      sent: sentUs / 1_000_000,
      round_trip_ms: roundTripMs,
      echoed_by: result?.echoedBy ?? [],
      acked_by: result?.ackedBy ?? [],
      sent_as: id === draft.id ? null : id,
    });
    if (error !== null) throw error;
    return {
      id: draft.id,
      bus: order.bus.name,
      sentUs,
      acknowledgedUs: answer!.timestampUs,
      roundTripMs: roundTripMs!,
      echoedBy: result!.echoedBy,
      ackedBy: result!.ackedBy,
      echo: answer!.sample,
      isAudited,
    };
  }

  /** Notes down that a command couldn't be sent; gives the error to answer with. */
  async #noteFailure(draft: CommandRecord, error: unknown): Promise<unknown> {
    const failure = asQueryError(error, 503);
    await this.#note({ ...draft, outcome: 'failed', ...reasonOf(failure) });
    return failure;
  }

  /** Whether the disk has it; that the answer isn't kept waiting for long is the audit log's to see to. */
  async #note(record: CommandRecord): Promise<boolean> {
    try {
      await this.#options.audit.write(record, true);
      return true;
    } catch {
      return false;
    }
  }
}
