import { CONTROLLER_CHANGES_KEPT } from '../shared/limits.ts';
import { FRAME_FLAG } from './can-frame.ts';
import { type ControllerState, ERROR_KINDS, type ErrorKind, readErrorFrame } from './error-frame.ts';
import type { FrameBatch } from './frame-batch.ts';

/** What a bus's controller has told of itself, by error frames. */
export interface ControllerStatus {
  /** Null until it told. */
  readonly state: ControllerState | null;
  /** Its error counters, as it told them last. */
  readonly txErrors: number | null;
  readonly rxErrors: number | null;
  /** How often it told of each kind of error. */
  readonly errors: Readonly<Record<ErrorKind, number>>;
  readonly lastError: { readonly timestampUs: number; readonly message: string } | null;
  /** When it entered which state, the latest last; CONTROLLER_CHANGES_KEPT at most. */
  readonly changes: readonly ControllerChange[];
}

export interface ControllerChange {
  readonly timestampUs: number;
  readonly state: ControllerState;
}

/** What is known of a controller at one moment. Null is what isn't. */
export interface ControllerReading {
  readonly timestampUs: number;
  readonly state: ControllerState | null;
  readonly txErrors: number | null;
  readonly rxErrors: number | null;
}

export interface ControllerEvents {
  /** Told whenever its state or a counter may be another one. */
  onReading?(reading: ControllerReading): void;
  onChange?(change: ControllerChange, message: string): void;
  /** Told that the controller takes no part in the bus since `fromUs`; and again, with `toUs`, when it does. */
  onBusOff?(fromUs: number, toUs: number | null): void;
}

/** Follows the state of a bus's controller. */
export class ControllerMonitor {
  readonly #events: ControllerEvents;
  #state: ControllerState | null = null;
  #txErrors: number | null = null;
  #rxErrors: number | null = null;
  readonly #errors = Object.fromEntries(ERROR_KINDS.map((kind) => [kind, 0])) as Record<ErrorKind, number>;
  #lastError: ControllerStatus['lastError'] = null;
  readonly #changes: ControllerChange[] = [];
  #busOffSinceUs: number | null = null;

  constructor(events: ControllerEvents = {}) {
    this.#events = events;
  }

  /** Looks for error frames among what was received. */
  observe(frames: FrameBatch): void {
    const { flags, count } = frames;
    for (let at = 0; at < count; at++) {
      if ((flags[at]! & FRAME_FLAG.ERROR) !== 0) this.#take(frames, at);
      // A controller that is off hears nothing: that it does says that it is back, if nobody else did.
      else if (this.#busOffSinceUs !== null) {
        this.#enter('error_active', frames.timestampUs[at]!, 'a frame came');
        this.#tellReading(frames.timestampUs[at]!);
      }
    }
  }

  #take(frames: FrameBatch, at: number): void {
    const timestampUs = frames.timestampUs[at]!;
    const report = readErrorFrame(frames.canId[at]!, frames.payloadOf(at));
    for (const kind of report.kinds) this.#errors[kind]++;
    this.#txErrors = report.txErrors ?? this.#txErrors;
    this.#rxErrors = report.rxErrors ?? this.#rxErrors;
    this.#lastError = { timestampUs, message: report.message };
    if (report.state !== null) this.#enter(report.state, timestampUs, report.message);
    this.#tellReading(timestampUs);
  }

  #tellReading(timestampUs: number): void {
    const reading = { timestampUs, state: this.#state, txErrors: this.#txErrors, rxErrors: this.#rxErrors };
    this.#events.onReading?.(reading);
  }

  #enter(state: ControllerState, timestampUs: number, message: string): void {
    if (state === this.#state) return;
    this.#state = state;
    const change = { timestampUs, state };
    this.#changes.push(change);
    if (this.#changes.length > CONTROLLER_CHANGES_KEPT) this.#changes.shift();
    this.#events.onChange?.(change, message);
    if (state === 'bus_off') {
      this.#busOffSinceUs = timestampUs;
      this.#events.onBusOff?.(timestampUs, null);
    } else this.#endBusOff(timestampUs);
  }

  /** The bus isn't read any more, or is opened anew: what state its controller is in isn't known. */
  forget(atUs: number): void {
    this.#endBusOff(atUs);
    const wasKnown = this.#state !== null;
    this.#state = null;
    this.#txErrors = null;
    this.#rxErrors = null;
    if (wasKnown) this.#tellReading(atUs);
  }

  /** It is off the bus, and told so to others before. */
  foundOff(atUs: number): void {
    if (this.#state !== null) return;
    this.#enter('bus_off', atUs, 'it was found so when the bus was opened');
    this.#tellReading(atUs);
  }

  #endBusOff(atUs: number): void {
    if (this.#busOffSinceUs === null) return;
    this.#events.onBusOff?.(this.#busOffSinceUs, atUs);
    this.#busOffSinceUs = null;
  }

  status(): ControllerStatus {
    return {
      state: this.#state,
      txErrors: this.#txErrors,
      rxErrors: this.#rxErrors,
      errors: { ...this.#errors },
      lastError: this.#lastError,
      changes: [...this.#changes],
    };
  }
}
