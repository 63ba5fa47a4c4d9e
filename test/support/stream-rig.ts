import { setImmediate as nextTurn } from 'node:timers/promises';
import { pino } from 'pino';
import type { SampleReply } from '../../src/api/schemas.ts';
import type { HistorySource } from '../../src/api/sources.ts';
import type { Outlet, SamplesHead, SubscriptionName } from '../../src/api/stream/outlet.ts';
import type { SampleBody } from '../../src/api/stream/sample-body.ts';
import type { ControlMessage, Encoding, SamplesMessage } from '../../src/api/stream/schemas.ts';
import type { StreamClient, SubscriptionRequest } from '../../src/api/stream/stream-client.ts';
import { StreamHub } from '../../src/api/stream/stream-hub.ts';
import type { PersistentTelemetryStore } from '../../src/history/persistent-telemetry-store.ts';
import { physicalConversion } from '../../src/protocol/physical-value.ts';
import type { SampleBatch } from '../../src/protocol/sample-batch.ts';
import { type SeriesKey, SeriesTable } from '../../src/protocol/series-table.ts';
import { LiveFeed } from '../../src/telemetry/live-feed.ts';
import { TelemetryStore } from '../../src/telemetry/telemetry-store.ts';
import { append, batchOf, type PlainSample, RPM, registry } from './samples.ts';

/** Everything up to it is known without a history. */
const NO_HISTORY: HistorySource = {
  firstSeq: null,
  query: () => Promise.reject(new Error('there is no history')),
  series: () => Promise.reject(new Error('there is no history')),
  gaps: () => Promise.reject(new Error('there is no history')),
  timings: () => {
    throw new Error('there is no history');
  },
};

export type ToldMessage = ControlMessage | (SamplesMessage & { readonly id: string });

/** The live stream without a network: samples come when they are told to, and the clock goes when it is told to. */
export class StreamRig {
  readonly table: SeriesTable;
  readonly state: TelemetryStore;
  readonly feed: LiveFeed;
  readonly hub: StreamHub;
  nowMs = 1000;
  /** By how much the clock goes each time that the hub looks at it. */
  msPerLook = 0;
  readonly #store: PersistentTelemetryStore | null;

  constructor(options: RigOptions = {}) {
    const {
      table = new SeriesTable(registry),
      store = null,
      firstSeq = store?.samples.firstSeq ?? 1,
    } = options;
    const { history = store ?? NO_HISTORY, feedSamples } = options;
    this.table = table;
    this.state = new TelemetryStore(table);
    this.feed = new LiveFeed(table, feedSamples);
    this.feed.begin(firstSeq);
    this.#store = store;
    this.hub = new StreamHub(
      {
        version: '1.2.3',
        registry,
        state: this.state,
        feed: this.feed,
        history,
        isSimulated: false,
        log: pino({ enabled: false }),
      },
      () => {
        this.nowMs += this.msPerLook;
        return this.nowMs;
      },
    );
  }

  addSeries(key: Partial<SeriesKey> = {}): number {
    return this.table.add({ ...RPM, ...key })!.index;
  }

  /** Takes in samples, as the pipeline does. Returns their numbers. */
  come(...samples: PlainSample[]): number[] {
    const firstSeq = this.feed.seq + 1;
    if (this.#store === null) this.#take(batchOf(samples, firstSeq), 0);
    else this.#keep(this.#store, samples);
    this.feed.publish();
    return samples.map((_, at) => firstSeq + at);
  }

  #keep(store: PersistentTelemetryStore, samples: readonly PlainSample[]): void {
    for (const sample of samples) {
      const batch = store.samples;
      append(batch, sample);
      this.#take(batch, batch.count - 1);
      if (batch.isFull) store.handOver();
    }
    store.publish();
  }

  #take(batch: SampleBatch, first: number): void {
    this.state.apply(batch, first);
    this.feed.take(batch, first);
  }

  connect(encoding: Encoding = 'json'): RigClient {
    return new RigClient(this, encoding);
  }

  /** Lets the hub do all that it can do now. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await nextTurn();
  }

  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    this.hub.wake();
    await this.settle();
  }
}

export interface RigOptions {
  readonly firstSeq?: number;
  readonly table?: SeriesTable;
  /** Where samples go, and what is known of them. */
  readonly store?: PersistentTelemetryStore;
  /** What stands for the store when the hub asks. */
  readonly history?: HistorySource;
  /** That the feed holds. */
  readonly feedSamples?: number;
}

export const SUBSCRIPTION: SubscriptionRequest = {
  id: 'a',
  patterns: ['**'],
  messageType: null,
  bus: null,
  maxHz: null,
  since: null,
  snapshot: undefined,
};

/** A client whose connection takes all at once, or nothing while it is stuck. */
export class RigClient implements Outlet {
  readonly encoding: Encoding;
  readonly client: StreamClient;
  /** All that it was told, binary messages as they would be in JSON. */
  readonly told: ToldMessage[] = [];
  isStuck = false;
  unsentBytes = 0;
  pings = 0;
  closed: number | null = null;
  corked = 0;
  readonly #rig: StreamRig;
  readonly #names = new Map<number, string>();
  readonly #series = new Set<number>();

  constructor(rig: StreamRig, encoding: Encoding) {
    this.#rig = rig;
    this.encoding = encoding;
    this.client = rig.hub.connect(this);
  }

  subscribe(request: Partial<SubscriptionRequest> = {}): void {
    this.client.subscribe({ ...SUBSCRIPTION, ...request });
  }

  /** What waits is taken. */
  drain(): void {
    this.isStuck = false;
    this.unsentBytes = 0;
    this.#rig.hub.wake();
  }

  control(message: ControlMessage): number {
    this.told.push(message);
    if (message.type === 'subscribed') this.#names.set(message.ordinal, message.id);
    if (message.type === 'series') for (const { series } of message.series) this.#series.add(series);
    return this.#wait(JSON.stringify(message).length);
  }

  samples({ id, ordinal }: SubscriptionName, head: SamplesHead, body: SampleBody): number {
    const isBinary = this.encoding === 'binary';
    if (isBinary && this.#names.get(ordinal) !== id) throw new Error(`ordinal ${ordinal} isn't told`);
    const bytes = isBinary ? body.columns() : body.json();
    const samples: SampleReply[] = isBinary
      ? this.#decoded(bytes, body.count)
      : JSON.parse(new TextDecoder().decode(bytes));
    if (samples.length !== body.count) throw new Error(`${samples.length} samples of ${body.count}`);
    this.told.push({ type: 'samples', id, ...head, samples });
    return this.#wait(bytes.byteLength);
  }

  /** By what the protocol says of binary messages, not by how they are written. */
  #decoded(bytes: Uint8Array, count: number): SampleReply[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: count }, (_, at) => {
      const index = view.getUint32(24 * count + 4 * at, true);
      if (!this.#series.has(index)) throw new Error(`series ${index} isn't told`);
      const { bus, nodeId, definition } = this.#rig.table.at(index);
      const rawValue = view.getFloat64(8 * count + 8 * at, true);
      return {
        seq: view.getFloat64(16 * count + 8 * at, true),
        timestamp: view.getFloat64(8 * at, true) / 1_000_000,
        bus,
        node_id: nodeId,
        message_type: definition.messageType,
        component_type: definition.componentType,
        component_id: definition.componentId,
        command_id: definition.commandId,
        value_type: definition.valueType,
        value: physicalConversion(definition.scale).toPhysical(rawValue),
        raw_value: rawValue,
        value_name: definition.valueNames?.[rawValue] ?? null,
        unit: definition.unit,
      };
    });
  }

  #wait(bytes: number): number {
    if (this.isStuck) this.unsentBytes += bytes;
    return bytes;
  }

  cork(): void {
    this.corked++;
  }

  uncork(): void {
    this.corked--;
  }

  ping(): boolean {
    this.pings++;
    return true;
  }

  close(code: number): void {
    this.closed = code;
  }

  terminate(): void {
    this.closed = 0;
  }

  /** The messages of samples so far, of one subscription. */
  messages(id = 'a'): SamplesMessage[] {
    return this.told.filter((message) => message.type === 'samples' && message.id === id) as SamplesMessage[];
  }

  seqs(id = 'a'): number[] {
    return this.messages(id).flatMap(({ samples }) => samples.map(({ seq }) => seq));
  }

  /** Forgets what it was told. */
  forget(): void {
    this.told.length = 0;
  }
}
