import {
  CollectorClientError,
  type GapReply,
  type ProtocolReply,
  type StateReply,
  type StatusReply,
} from '../../../src/client/index.ts';
import { Api } from './api.ts';
import { BusLoads } from './bus/bus-loads.ts';
import { connection } from './connection.svelte.ts';
import { GAP_SHOWN_S, STATUS_INTERVAL_MS } from './limits.ts';
import { Live } from './live.ts';
import { SignalStore } from './signal-store.ts';
import { ticks } from './ticks.svelte.ts';

/** All that the page knows of the collector. */
export class Session {
  readonly api = new Api();
  readonly store = new SignalStore();
  protocol = $state.raw<ProtocolReply | null>(null);
  status = $state.raw<StatusReply | null>(null);
  gaps = $state.raw<readonly GapReply[]>([]);
  /** What ERROR messages said last. */
  errors = $state.raw<StateReply['components']>({});
  /** Changes when a signal joins the store. */
  structure = $state(0);
  /** Changes when what is drawn of the past has to be asked for again. */
  discontinuities = $state(0);

  /** Whether the collector sends commands, and takes them from this page. */
  canCommand = $state(false);

  /** What is known of the rights: for which token, and whether commands were on. */
  #rightsOf = '';

  readonly live = new Live(this.api, this.store);
  readonly loads = new BusLoads(this.api, this.live, this.store);

  constructor() {
    ticks.onFrame(() => {
      if (this.structure !== this.store.structure) this.structure = this.store.structure;
      if (this.discontinuities !== this.store.discontinuities)
        this.discontinuities = this.store.discontinuities;
    });
    void this.#ask();
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.retry();
    });
    addEventListener('online', () => this.retry());
  }

  giveToken(token: string, isKept: boolean): void {
    this.api.setToken(token === '' ? null : token, isKept);
    connection.isTokenAsked = false;
    // So that it is asked for again when it is refused, too.
    if (connection.phase === 'unauthorised') connection.phase = 'connecting';
    this.live.restart();
    this.refreshStatus().catch(() => undefined);
  }

  retry(): void {
    this.live.retry();
    ticks.invalidate();
  }

  async #ask(): Promise<void> {
    try {
      const isRefused = connection.phase === 'unauthorised';
      if (!isRefused && (!document.hidden || this.status === null)) await this.refreshStatus();
    } catch (error) {
      if (!(error instanceof CollectorClientError)) throw error;
    } finally {
      setTimeout(() => void this.#ask(), STATUS_INTERVAL_MS);
    }
  }

  /** Whether a token may send commands isn't said anywhere, so it is tried with a question that needs the same right. */
  async #findRights(isEnabled: boolean): Promise<void> {
    const { token } = this.api;
    const rightsOf = `${isEnabled} ${token}`;
    if (rightsOf === this.#rightsOf) return;
    this.#rightsOf = rightsOf;
    // Nobody may without a token.
    if (!isEnabled || token === null) {
      this.canCommand = false;
      return;
    }
    try {
      await this.api.commands(1);
      this.canCommand = true;
    } catch (error) {
      this.canCommand = false;
      if (!(error instanceof CollectorClientError)) throw error;
      // Not refused but not answered: again with the next status.
      if (![401, 403].includes(error.statusCode)) this.#rightsOf = '';
    }
  }

  async refreshStatus(): Promise<void> {
    const from = (this.store.nowS() - GAP_SHOWN_S).toFixed(3);
    const { client } = this.api;
    const [status, errors, gaps] = await Promise.all([
      client.status(),
      client.state({ messageType: 'ERROR' }),
      client.gaps({ from }),
    ]);
    const isOtherRun = this.status !== null && status.started !== this.status.started;
    this.status = status;
    this.loads.take(status);
    await this.#findRights(status.commands.enabled);
    this.errors = errors.components;
    this.gaps = gaps;
    connection.version = status.version;
    if (this.protocol === null || isOtherRun) this.protocol = await client.protocol();
  }
}

export const session = new Session();
