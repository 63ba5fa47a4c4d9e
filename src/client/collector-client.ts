import type { ComponentTypeReply, ProtocolReply } from '../api/protocol-schemas.ts';
import type {
  GapReply,
  GapsReply,
  SampleReply,
  SeriesReply,
  StateReply,
  StatusReply,
} from '../api/schemas.ts';
import { sleep } from './abort.ts';
import { CollectorClientError } from './client-error.ts';
import { CollectorStream, type StreamOptions } from './collector-stream.ts';
import type { CommandReply, CommandRequest } from './command.ts';
import { BUSY_RETRIES_MAX, HISTORY_PAGE_SAMPLES, REQUEST_TIMEOUT_MS } from './limits.ts';
import {
  type ComponentQuery,
  type GapsQuery,
  jsonBody,
  type Name,
  queryString,
  type SampleQuery,
  type SeriesQuery,
  type StateQuery,
} from './query.ts';
import { samplesOfLines } from './sample-lines.ts';
import { type CallOptions, type Endpoint, notTheService, requestBytes, requestJson } from './transport.ts';
import type { WebSocketConstructor } from './web-socket.ts';

export interface CollectorClientOptions {
  /** Where the service is: http://127.0.0.1:5001, also with a path before it. In a browser also relative to the page. */
  readonly url: string;
  /** Who asks, where the service wants to know. */
  readonly token?: string | undefined;
  /** fetch() by default. */
  readonly fetch?: typeof fetch | undefined;
  /** The one that is there by default; Node before 22 has none, but the package ws has one. */
  readonly WebSocket?: WebSocketConstructor | undefined;
}

/** A page of the history. */
export interface HistoryPage {
  readonly samples: SampleReply[];
  /** What the next page is asked for with; null after the last one. */
  readonly cursor: number | null;
}

/**
 * The API of a telemetry-collector, in a browser or in Node from 18 on.
 *
 * Each call throws CollectorClientError where the service can't be asked or refuses, and the reason of `signal`
 * where that ends it. Replies are the API's own (docs/http-api.md).
 */
export class CollectorClient {
  readonly #endpoint: Endpoint;
  readonly #WebSocket: WebSocketConstructor | undefined;

  /** Throws TypeError where `url` is none of HTTP. */
  constructor(options: CollectorClientOptions) {
    this.#endpoint = {
      baseUrl: baseUrlOf(options.url),
      // As it comes out of a file or the environment: with a line's end, or empty.
      token: options.token?.trim() || undefined,
      // A browser's fetch() wants to be called as a function of the window.
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    };
    this.#WebSocket = options.WebSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  }

  /** The latest value of every signal. */
  state(query: StateQuery = {}, options: CallOptions = {}): Promise<StateReply> {
    return this.#get(`api/state/current${queryString(query)}`, options);
  }

  /** The same, of one component; 404 COMPONENT_NOT_HEARD where nothing has been heard of it. */
  component(
    componentType: Name,
    componentId: Name,
    query: ComponentQuery = {},
    options: CallOptions = {},
  ): Promise<StateReply> {
    const path = [componentType, componentId].map((name) => encodeURIComponent(name)).join('/');
    return this.#get(`api/state/component/${path}${queryString(query)}`, options);
  }

  /** Past samples: one page, of 100 where no `limit` is given, of 10,000 at most. */
  async historyPage(query: SampleQuery = {}, options: CallOptions = {}): Promise<HistoryPage> {
    const path = `api/state/history${queryString(query)}`;
    const { value, response } = await requestJson<SampleReply[]>(this.#endpoint, { path }, options);
    if (!Array.isArray(value)) throw notTheService('a list of samples', response);
    return { samples: value, cursor: nextCursor(response.headers.get('link')) };
  }

  /**
   * Past samples, page after page, as they are taken: all that there are, or `limit`. Pages in which the service is
   * too busy are asked for again. For millions, export() takes less time.
   */
  async *history(
    query: SampleQuery & { readonly pageSamples?: number | undefined } = {},
    options: CallOptions = {},
  ): AsyncGenerator<SampleReply, void, undefined> {
    const { pageSamples = HISTORY_PAGE_SAMPLES, limit = Number.POSITIVE_INFINITY, ...rest } = query;
    let left = limit;
    let asked: SampleQuery = rest;
    while (left > 0) {
      const page = await this.#pageInTurn({ ...asked, limit: Math.min(left, pageSamples) }, options);
      yield* page.samples;
      left -= page.samples.length;
      if (page.cursor === null) return;
      asked = { ...rest, offset: undefined, cursor: page.cursor };
    }
  }

  /**
   * Past samples in one answer that is streamed: all that there are, or `limit`. It is read as fast as samples are
   * taken. Throws where the answer breaks off; the last sample's `seq` is then the `cursor` to go on with.
   */
  async *export(
    { limit = Number.POSITIVE_INFINITY, ...query }: SampleQuery = {},
    options: CallOptions = {},
  ): AsyncGenerator<SampleReply, void, undefined> {
    if (limit <= 0) return;
    const path = `api/state/history${queryString(query)}`;
    const bytes = requestBytes(this.#endpoint, { path, accept: 'application/x-ndjson' }, options);
    // The API knows a limit of pages alone, and sends no faster than is read: it is counted here.
    let left = limit;
    for await (const sample of samplesOfLines(bytes)) {
      yield sample;
      left--;
      if (left <= 0) return;
    }
  }

  /** Signals over time, as columns for plots. */
  series({ signals, ...query }: SeriesQuery, options: CallOptions = {}): Promise<SeriesReply> {
    return this.#get(`api/series${queryString({ signal: signals, ...query })}`, options);
  }

  /** Where samples are missing, and why. */
  async gaps(query: GapsQuery = {}, options: CallOptions = {}): Promise<GapReply[]> {
    const { gaps } = await this.#get<GapsReply>(`api/gaps${queryString(query)}`, options);
    return gaps;
  }

  /** How the service is. */
  status(options: CallOptions = {}): Promise<StatusReply> {
    return this.#get('api/status', options);
  }

  /** What the bus can say. */
  protocol(options: CallOptions = {}): Promise<ProtocolReply> {
    return this.#get('api/protocol', options);
  }

  /** The same, of one component type. */
  protocolOf(componentType: Name, options: CallOptions = {}): Promise<ComponentTypeReply> {
    return this.#get(`api/protocol/${encodeURIComponent(componentType)}`, options);
  }

  /**
   * Sends a command to the vehicle, and waits for its echo. Throws where it isn't sent (404 COMMANDS_DISABLED unless the
   * service allows any), and where it was sent and no node has acknowledged it (504 COMMAND_NOT_ACKNOWLEDGED) or one has
   * refused it (502 COMMAND_REFUSED). It is never sent again by itself.
   */
  async command(request: CommandRequest, options: CallOptions = {}): Promise<CommandReply> {
    // The service's answer, which says more, comes first.
    const timeoutMs = REQUEST_TIMEOUT_MS + (request.timeoutS ?? 0) * 1000;
    const asked = { path: 'api/command', body: jsonBody(request) };
    return (await requestJson<CommandReply>(this.#endpoint, asked, { timeoutMs, ...options })).value;
  }

  /** Samples as they come; the stream connects at once, and stays connected until it is closed. */
  stream({ encoding = 'json', signal }: StreamOptions = {}): CollectorStream {
    if (this.#WebSocket === undefined) {
      throw new TypeError('There is no WebSocket here: give one, as of the package ws, to the client.');
    }
    const stream = new CollectorStream(this.#endpoint, this.#WebSocket, encoding);
    stream.start(signal);
    return stream;
  }

  async #get<T>(path: string, options: CallOptions): Promise<T> {
    return (await requestJson<T>(this.#endpoint, { path }, options)).value;
  }

  async #pageInTurn(query: SampleQuery, options: CallOptions): Promise<HistoryPage> {
    for (let retriesLeft = BUSY_RETRIES_MAX; ; retriesLeft--) {
      try {
        return await this.historyPage(query, options);
      } catch (error) {
        const isBusy = error instanceof CollectorClientError && error.retryAfterS !== null;
        if (!isBusy || retriesLeft === 0) throw error;
        await sleep(error.retryAfterS! * 1000, options.signal);
      }
    }
  }
}

function baseUrlOf(url: string): string {
  // In a browser relative to the page; elsewhere there is none.
  const page = (globalThis as { location?: { href: string } }).location?.href;
  const base = parsedUrl(url, page);
  // "localhost:5001" is a URL, too: of the scheme localhost.
  if (base === null || !/^https?:$/.test(base.protocol)) {
    throw new TypeError(`Expected a URL such as http://127.0.0.1:5001, found ${JSON.stringify(url)}.`);
  }
  return `${base.origin}${base.pathname.replace(/\/*$/, '/')}`;
}

// URL.parse() would do it, were it in Node 18.
function parsedUrl(url: string, page: string | undefined): URL | null {
  try {
    return new URL(url, page);
  } catch {
    return null;
  }
}

/** The cursor of the Link header's next page. */
function nextCursor(link: string | null): number | null {
  const next = /<([^>]*)>\s*;\s*rel="?next"?/.exec(link ?? '')?.[1];
  const cursor = next === undefined ? null : new URL(next, 'http://collector').searchParams.get('cursor');
  return cursor === null ? null : Number(cursor);
}
