import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { ApiConfig } from '../../config/schema.ts';
import { ConfigError } from '../../shared/errors.ts';
import {
  API_EXPORTS_MAX,
  API_HEAD_TIMEOUT_MS,
  API_REQUEST_TIMEOUT_MS,
  API_SOCKETS_BUSY,
  API_SOCKETS_MAX,
  API_SOCKETS_PER_CLIENT_MAX,
  API_STALLED_MS,
  API_TIMEOUT_CHECK_MS,
  API_UNSENT_BYTES_MAX,
} from '../../shared/limits.ts';
import { ANONYMOUS_NAME, anonymousScopes } from './anonymous.ts';
import { Certificate } from './certificate.ts';
import { ClientSockets } from './client-sockets.ts';
import { ApiCounters } from './counters.ts';
import { HostCheck } from './host-check.ts';
import type { ServerLimits } from './http-server.ts';
import { isLoopback } from './loopback.ts';
import { OriginCheck } from './origin-check.ts';
import { RateLimiter } from './rate-limiter.ts';
import type { AccessStatus } from './schemas.ts';
import type { Principal } from './scopes.ts';
import { Slots } from './slots.ts';
import { TokenStore } from './token-store.ts';
import { UnsentAnswers } from './unsent-answers.ts';

/** What the API's safety is made of; as in the configuration. */
export type ApiSecurityConfig = Omit<ApiConfig, 'port'>;

export interface ApiLimits extends ServerLimits {
  readonly socketsBusy: number;
  readonly socketsPerClientMax: number;
  readonly exportsMax: number;
  readonly unsentBytesMax: number;
}

const LIMITS: ApiLimits = {
  socketsMax: API_SOCKETS_MAX,
  socketsBusy: API_SOCKETS_BUSY,
  socketsPerClientMax: API_SOCKETS_PER_CLIENT_MAX,
  headTimeoutMs: API_HEAD_TIMEOUT_MS,
  requestTimeoutMs: API_REQUEST_TIMEOUT_MS,
  timeoutCheckMs: API_TIMEOUT_CHECK_MS,
  stalledMs: API_STALLED_MS,
  exportsMax: API_EXPORTS_MAX,
  unsentBytesMax: API_UNSENT_BYTES_MAX,
};

/**
 * All that stands between the API and its clients, and what it has counted: tokens, names, origins, limits, certificate. It reads
 * the files of tokens and certificate, and watches them until close().
 */
export class ApiSecurity {
  readonly config: ApiSecurityConfig;
  readonly log: Logger;
  readonly limits: ApiLimits;
  readonly counters = new ApiCounters();
  /** Who asks without a token. */
  readonly anonymous: Principal;
  readonly tokens: TokenStore;
  /** Null for HTTP. */
  readonly certificate: Certificate | null;
  readonly hosts: HostCheck;
  readonly origins: OriginCheck;
  readonly rates: RateLimiter;
  readonly sockets: ClientSockets;
  readonly exports: Slots;
  readonly unsent: UnsentAnswers;
  readonly #isLocal: boolean;

  /** Throws TokenError and ConfigError TLS_INVALID. `limits` for tests, which needn't wait that long. */
  constructor(config: ApiSecurityConfig, log: Logger, limits: Partial<ApiLimits> = {}) {
    this.config = config;
    this.log = log;
    this.limits = { ...LIMITS, ...limits };
    this.#isLocal = isLoopback(config.host);
    const everybody = anonymousScopes(config.anonymous, this.#isLocal);
    this.anonymous = Object.freeze({ name: ANONYMOUS_NAME, scopes: everybody, isAnonymous: true });
    this.hosts = new HostCheck(config.host, hostname(), config.hosts);
    this.origins = new OriginCheck(config.origins);
    this.rates = new RateLimiter(config.ratePerS);
    const { socketsBusy, socketsPerClientMax } = this.limits;
    this.sockets = new ClientSockets(socketsBusy, socketsPerClientMax, this.counters);
    this.exports = new Slots(this.limits.exportsMax);
    this.unsent = new UnsentAnswers(this.limits.unsentBytesMax, () => {
      this.counters.socketsStalled++;
    });
    this.tokens = new TokenStore(config.tokensPath, everybody, log, () =>
      this.sockets.closeRevoked((id) => this.tokens.isGood(id)),
    );
    try {
      this.certificate = certificateOf(config, log);
    } catch (error) {
      this.tokens.close();
      throw error;
    }
  }

  /**
   * Throws ConfigError API_UNPROTECTED where the API would be on a network and nobody could use it, or everybody everything: who
   * puts it there is to say who may read.
   */
  checkAddress(host = this.config.host): void {
    if (isLoopback(host)) return;
    const mayRead = this.config.anonymous === 'read' || this.tokens.count > 0;
    if (mayRead && !this.#isLocal) return;
    throw new ConfigError(
      'API_UNPROTECTED',
      [
        `The API isn't opened to the network (${host}) before it is said who may use it. Either make a token:`,
        '    telemetry-collector token create --name dashboard --scope read',
        `or let everybody on the network read: anonymous: read in the section api (--anonymous read). Tokens are looked for in ${this.config.tokensPath}.`,
      ].join('\n'),
    );
  }

  /** Whether the paths of this machine are told: to who administers it, and to who is on it, for whom they are no secret. */
  mayKnowPaths(principal: Principal): boolean {
    return this.#isLocal ? this.config.anonymous !== 'none' || isAdmin(principal) : isAdmin(principal);
  }

  status(): AccessStatus {
    const { counters, tokens, certificate } = this;
    return {
      clients: { used: this.rates.clientCount, max: this.rates.clientsMax },
      requests: counters.requests,
      refused: { ...counters.refused },
      sockets: {
        used: this.sockets.count,
        max: this.limits.socketsMax,
        refused: counters.socketsRefused,
        displaced: counters.socketsDisplaced,
        stalled: counters.socketsStalled,
        revoked: counters.socketsRevoked,
      },
      exports: { used: this.exports.used, max: this.exports.max },
      unsent_bytes: { used: this.unsent.bytes, max: this.unsent.bytesMax },
      anonymous: [...this.anonymous.scopes],
      tokens: tokens.count,
      tls: certificate === null ? null : { expires: certificate.expiresMs / 1000 },
      problem: tokens.problem ?? certificate?.problem ?? null,
    };
  }

  close(): void {
    this.tokens.close();
    this.certificate?.close();
    this.sockets.closeAll();
  }
}

function isAdmin({ scopes }: Principal): boolean {
  return scopes.has('admin');
}

function certificateOf({ tlsCertPath, tlsKeyPath }: ApiSecurityConfig, log: Logger): Certificate | null {
  if (tlsCertPath === null || tlsKeyPath === null) return null;
  return new Certificate(tlsCertPath, tlsKeyPath, log);
}
