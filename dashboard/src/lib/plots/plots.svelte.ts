import { PLOT_PANES_MAX, PLOT_SIGNALS_PER_PANE_MAX } from '../limits.ts';
import { BUS_MEASURED, CAN_BUS_TYPE } from '../names.ts';
import { route } from '../route.svelte.ts';
import type { Session } from '../session.svelte.ts';
import type { Signal } from '../signal-store.ts';
import { ticks } from '../ticks.svelte.ts';
import { shownUnit, type UnitChoice } from '../units.ts';
import { makeColumns, type PlotColumns } from './columns.ts';
import { busEvents, changeEvents, commandEvents, gapEvents, type PlotEvent } from './events.ts';
import { HistorySource } from './history-source.ts';
import {
  fromParameters,
  live,
  panned,
  paused,
  spanOf,
  toParameters,
  type ViewRange,
  whole,
  zoomed,
} from './view-range.ts';

/** The state is written to the link when it has stood still for so long: browsers limit how often. */
const LINK_MS = 250;
const EVENTS_SETTLE_MS = 400;
/** Events are asked for again that often while plots are live. */
const EVENTS_INTERVAL_MS = 5000;
/** A signal is silent after four of its usual intervals, and two seconds at least; one that only tells changes never is. */
const SILENT_INTERVALS = 4;
const SILENT_LEAST_S = 2;
/** Named values beside the plotted ones whose changes are marked. */
const CHANGES_SIGNALS_MAX = 24;
/** Where the last sample is put, of the width. */
const LAST_SHARE = 0.9;
const WIDTH_DEFAULT_PX = 800;

export interface Pane {
  /** Of this page alone: keeps a pane the same while its signals change. */
  readonly id: number;
  readonly signals: readonly string[];
}

/** What the plots show: which signals, which time; and what they draw, from the live samples and the history. */
export class Plots {
  panes = $state.raw<readonly Pane[]>([]);
  range = $state.raw<ViewRange>({ isLive: true, windowS: 60 });
  /** Changes when there is something else to draw than time going on. */
  revision = $state(0);
  events = $state.raw<readonly PlotEvent[]>([]);
  /** Where the cursor is, on whichever pane. */
  cursorS = $state<number | null>(null);

  readonly history: HistorySource;
  readonly #session: Session;
  readonly #tracked = new Map<string, Signal>();
  #nextId = 1;
  #widthPx = WIDTH_DEFAULT_PX;
  #linkTimer = 0;
  #eventsTimer = 0;
  #eventsAskedMs = 0;
  #eventsAbort = new AbortController();
  #discontinuities = -1;

  constructor(session: Session) {
    this.#session = session;
    this.history = new HistorySource(session.api, () => this.#changed());
    this.readLink();
  }

  get keys(): string[] {
    return [...new Set(this.panes.flatMap(({ signals }) => signals))];
  }

  /** Those that the collector knows: for one that it doesn't, as from a link of another vehicle, it refuses them all. */
  get #heardKeys(): string[] {
    return this.keys.filter((key) => this.#session.store.get(key) !== undefined);
  }

  get isLive(): boolean {
    return this.range.isLive;
  }

  span(): readonly [fromS: number, toS: number] {
    return spanOf(this.range, this.#session.store.nowS());
  }

  /** Takes what the link says. */
  readLink(): void {
    const { panes, range } = fromParameters(route.parameters);
    this.panes = panes
      .slice(0, PLOT_PANES_MAX)
      .map((signals) => ({ id: this.#nextId++, signals: signals.slice(0, PLOT_SIGNALS_PER_PANE_MAX) }));
    this.range = range;
    this.#changed();
  }

  // What people do.

  zoom(factor: number, atS?: number): void {
    const [fromS, toS] = this.span();
    this.#show(zoomed(this.range, factor, atS ?? (fromS + toS) / 2));
  }

  pan(byS: number): void {
    this.#show(panned(this.range, byS, this.#session.store.nowS()));
  }

  showSpan(fromS: number, toS: number): void {
    this.#show({ isLive: false, fromS, toS });
  }

  /** The last seconds, live. */
  showWindow(windowS: number): void {
    this.#show({ isLive: true, windowS });
  }

  /** From the first sample of the history to the last. */
  showAll(): void {
    const { first_timestamp: fromS, last_timestamp: toS } = this.#session.status?.history ?? {};
    if (fromS == null || toS == null) return;
    this.#show(whole(fromS, toS, this.#session.store.nowS()));
  }

  /** The end of what is known of these signals, in a span as long as the one that is shown. */
  showLast(keys: readonly string[]): void {
    const lastS = this.lastS(keys);
    const [fromS, toS] = this.span();
    if (lastS !== null)
      this.showSpan(lastS - (toS - fromS) * LAST_SHARE, lastS + (toS - fromS) * (1 - LAST_SHARE));
  }

  /** When the newest sample of any of them was. */
  lastS(keys: readonly string[]): number | null {
    const times = keys.flatMap((key) => this.#session.store.get(key)?.timestampS ?? []);
    return times.length === 0 ? null : Math.max(...times);
  }

  togglePause(): void {
    this.#show(this.range.isLive ? paused(this.range, this.#session.store.nowS()) : live(this.range));
  }

  /** Adds a signal to a pane; without one to that which has its unit, or to a new one. */
  add(key: string, paneId?: number): void {
    const unitOf = (each: string) => this.#session.store.get(each)?.unit ?? null;
    const isNamed = (each: string) => this.#session.store.get(each)?.valueName !== null;
    const fits = ({ signals }: Pane) => signals.length < PLOT_SIGNALS_PER_PANE_MAX;
    const target =
      paneId !== undefined
        ? this.panes.find(({ id }) => id === paneId)
        : this.panes.find(
            (pane) =>
              fits(pane) && !isNamed(key) && unitOf(key) !== null && unitOf(pane.signals[0]!) === unitOf(key),
          );
    if (target === undefined) {
      if (this.panes.length >= PLOT_PANES_MAX) return;
      this.panes = [...this.panes, { id: this.#nextId++, signals: [key] }];
    } else {
      if (!fits(target) || target.signals.includes(key)) return;
      this.panes = this.panes.map((pane) =>
        pane === target ? { ...pane, signals: [...pane.signals, key] } : pane,
      );
    }
    this.#changed();
  }

  addPane(key: string): void {
    if (this.panes.length >= PLOT_PANES_MAX) return;
    this.panes = [...this.panes, { id: this.#nextId++, signals: [key] }];
    this.#changed();
  }

  remove(key: string, paneId?: number): void {
    this.panes = this.panes
      .map((pane) =>
        paneId === undefined || pane.id === paneId
          ? { ...pane, signals: pane.signals.filter((each) => each !== key) }
          : pane,
      )
      .filter(({ signals }) => signals.length > 0);
    this.#changed();
  }

  removePane(paneId: number): void {
    this.panes = this.panes.filter(({ id }) => id !== paneId);
    this.#changed();
  }

  // What is drawn.

  /** Is called before the panes are drawn: sees that what they need is there, or on its way. */
  prepare(widthPx: number, nowMs: number): void {
    if (widthPx > 0) this.#widthPx = widthPx;
    const { store } = this.#session;
    this.#track();
    if (this.#discontinuities !== store.discontinuities) {
      this.#discontinuities = store.discontinuities;
      this.history.forget();
    }
    const [fromS, toS] = this.span();
    const live = Math.min(
      Number.POSITIVE_INFINITY,
      ...[...this.#tracked.values()].map(({ track }) =>
        track === null || track.length === 0 ? Number.POSITIVE_INFINITY : track.firstTime,
      ),
    );
    // Of what moves along only the part before the samples that have come since.
    const neededToS = Math.min(toS, Number.isFinite(live) ? Math.max(live, fromS) : toS);
    if (fromS < neededToS || this.#tracked.size === 0) {
      const asTo = this.range.isLive && !Number.isFinite(live) ? toS : neededToS;
      if (asTo > fromS) this.history.need(this.#heardKeys, fromS, asTo, this.#pointsFor(fromS, toS, asTo));
    }
    if (this.range.isLive && nowMs - this.#eventsAskedMs > EVENTS_INTERVAL_MS) this.#askEvents();
  }

  columns(pane: Pane, widthPx: number, choice: UnitChoice): PlotColumns {
    const [fromS, toS] = this.span();
    const sources = pane.signals.map((key) => {
      const signal = this.#session.store.get(key);
      const { factor, offset } = shownUnit(signal?.unit ?? null, choice);
      const rateHz = signal?.rateHz ?? 0;
      const isOfBus = signal?.type === CAN_BUS_TYPE;
      const isTold = isOfBus && !BUS_MEASURED.includes(signal.command);
      return {
        ring: signal?.track ?? null,
        past: this.history.get(key),
        silenceS:
          rateHz > 0 && !isTold
            ? Math.max(SILENT_LEAST_S, SILENT_INTERVALS / rateHz)
            : Number.POSITIVE_INFINITY,
        staysAtZero: isOfBus,
        factor,
        offset,
      };
    });
    return makeColumns(sources, fromS, toS, widthPx);
  }

  stop(): void {
    for (const signal of this.#tracked.values()) signal.untrack();
    this.#tracked.clear();
    this.#session.live.track([]);
    clearTimeout(this.#linkTimer);
    clearTimeout(this.#eventsTimer);
    this.#eventsAbort.abort();
  }

  #pointsFor(fromS: number, toS: number, asToS: number): number {
    return Math.max(2, Math.ceil((this.#widthPx / 1.5) * ((asToS - fromS) / (toS - fromS))));
  }

  #show(range: ViewRange): void {
    this.range = range;
    this.#changed();
  }

  #changed(): void {
    this.revision++;
    ticks.invalidate();
    clearTimeout(this.#linkTimer);
    this.#linkTimer = window.setTimeout(() => {
      const { range } = this;
      route.replace('plots', toParameters({ panes: this.panes.map(({ signals }) => signals), range }));
    }, LINK_MS);
    clearTimeout(this.#eventsTimer);
    this.#eventsTimer = window.setTimeout(() => this.#askEvents(), EVENTS_SETTLE_MS);
  }

  /** Keeps the samples of what is plotted, and of nothing else. */
  #track(): void {
    const keys = new Set(this.#heardKeys);
    for (const [key, signal] of this.#tracked) {
      if (keys.has(key)) continue;
      signal.untrack();
      this.#tracked.delete(key);
    }
    this.#session.live.track([...keys]);
    for (const key of keys) {
      const signal = this.#session.store.get(key);
      if (signal === undefined || this.#tracked.has(key)) continue;
      signal.startTrack();
      this.#tracked.set(key, signal);
    }
  }

  #askEvents(): void {
    this.#eventsAskedMs = performance.now();
    this.#eventsAbort.abort();
    this.#eventsAbort = new AbortController();
    const { signal } = this.#eventsAbort;
    const { api } = this.#session;
    const [fromS, toS] = this.span();
    const query = { from: fromS.toFixed(6), to: toS.toFixed(6) };
    Promise.all([
      api.client.gaps(query).then(gapEvents),
      commandEvents(api, fromS, toS, signal),
      changeEvents(api, this.#namedBeside(), fromS, toS, signal),
    ])
      .then((found) => {
        if (signal.aborted) return;
        this.events = [...found.flat(), ...busEvents(this.#session.status, fromS, toS)];
        ticks.invalidate();
        this.revision++;
      })
      .catch(() => undefined);
  }

  /** Named values of the components that are plotted: a mode, an emergency. Those that are plotted show it themselves. */
  #namedBeside(): string[] {
    const plotted = new Set(this.keys);
    const components = new Set(this.keys.map((key) => key.slice(0, key.lastIndexOf('/'))));
    return this.#session.store.signals
      .filter(
        ({ key, type, component, valueName }) =>
          valueName !== null && components.has(`${type}/${component}`) && !plotted.has(key),
      )
      .slice(0, CHANGES_SIGNALS_MAX)
      .map(({ key }) => key);
  }
}
