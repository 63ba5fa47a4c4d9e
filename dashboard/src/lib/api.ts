import type { ConfigurationReply, LogTailReply } from '../../../src/api/admin/schemas.ts';
import type { CommandsReply } from '../../../src/api/command/schemas.ts';
import { CollectorClient, CollectorClientError } from '../../../src/client/index.ts';
import { REQUEST_TIMEOUT_MS } from './limits.ts';

const TOKEN_KEY = 'collector.token';

/** The collector's API as this page uses it: relative to where the page is, with the token that was given, if any. */
export class Api {
  client: CollectorClient;
  #token = sessionStorage.getItem(TOKEN_KEY) ?? localStorage.getItem(TOKEN_KEY);

  constructor() {
    this.client = this.#makeClient();
  }

  get token(): string | null {
    return this.#token;
  }

  /** For this page, or on this device until it is taken back with null. */
  setToken(token: string | null, isKept: boolean): void {
    this.#token = token;
    sessionStorage.removeItem(TOKEN_KEY);
    localStorage.removeItem(TOKEN_KEY);
    if (token !== null) (isKept ? localStorage : sessionStorage).setItem(TOKEN_KEY, token);
    this.client = this.#makeClient();
  }

  configuration(): Promise<ConfigurationReply> {
    return this.#get('api/config');
  }

  log(lines: number): Promise<LogTailReply> {
    return this.#get(`api/log?lines=${lines}`);
  }

  /** The newest entries of the audit log. */
  async commands(limit: number): Promise<CommandsReply['commands']> {
    const reply: CommandsReply = await this.#get(`api/commands?limit=${limit}`);
    return reply.commands;
  }

  #makeClient(): CollectorClient {
    return new CollectorClient({ url: document.baseURI, token: this.#token ?? undefined });
  }

  /** What the client package leaves out: it is for those who run the collector. */
  async #get<T>(path: string): Promise<T> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (this.#token !== null) headers.authorization = `Bearer ${this.#token}`;
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const url = new URL(path, document.baseURI);
    const response = await fetch(url, { headers, signal, cache: 'no-store' }).catch(() => null);
    if (response === null) throw new CollectorClientError(0, 'UNREACHABLE', 'The collector does not answer.');
    const reply = await response.json().catch(() => null);
    if (response.ok) return reply as T;
    const { code = 'HTTP', message = `The collector answers ${response.status}.` } = reply ?? {};
    throw new CollectorClientError(response.status, code, message);
  }
}
