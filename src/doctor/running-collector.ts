import { readFileSync } from 'node:fs';
import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import type { ApiConfig } from '../config/schema.ts';
import { DOCTOR_API_TIMEOUT_MS } from '../shared/limits.ts';

/** Where the API is, as far as the configuration says. */
export type ApiAddress = Pick<ApiConfig, 'host' | 'port'> & Partial<Pick<ApiConfig, 'tlsCertPath'>>;

/** A collector that answers at the address of the configuration, as its /api/status tells of it. */
export interface RunningCollector {
  readonly url: string;
  readonly version: string;
  readonly pid: number;
  /** Null where it isn't told: the token is none of an administrator. */
  readonly historyPath: string | null;
  readonly historyState: string;
  readonly historyProblem: string | null;
  /** Samples that didn't get into the history since the start. */
  readonly samplesLost: number;
  readonly buses: readonly RunningBus[];
  /** Null where nothing is recorded. */
  readonly recording: RunningRecording | null;
}

export interface RunningRecording {
  /** Null where it isn't told. */
  readonly path: string | null;
  readonly state: string;
  readonly problem: string | null;
  /** Since the start. */
  readonly framesLost: number;
}

export interface RunningBus {
  readonly name: string;
  readonly state: string;
  readonly problem: string | null;
  readonly warning: string | null;
  readonly kernelDrops: number;
  readonly interfaceDrops: number;
}

/**
 * What is at the address: a collector, `guarded` for one that tells its status only to those with a token, `other` for
 * whatever else speaks HTTP there, null for nothing that does.
 */
export async function findCollector(
  api: ApiAddress,
  token?: string,
): Promise<RunningCollector | 'guarded' | 'other' | null> {
  const url = apiUrl(api);
  try {
    const health = await answer(`${url}/healthz`, api);
    if (asObject(health).status !== 'ok') return 'other';
    const status = asObject(await answer(`${url}/api/status`, api, token));
    if (REFUSALS.has(String(status.code))) return 'guarded';
    return readStatus(url, status) ?? 'other';
  } catch (error) {
    return error instanceof SyntaxError ? 'other' : null;
  }
}

const REFUSALS: ReadonlySet<string> = new Set(['TOKEN_MISSING', 'TOKEN_INVALID', 'SCOPE_MISSING']);

/** Where to ask; an address that stands for all of a machine's isn't one to connect to. */
export function apiUrl({ host, port, tlsCertPath = null }: ApiAddress): string {
  const target = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${tlsCertPath === null ? 'http' : 'https'}://${target.includes(':') ? `[${target}]` : target}:${port}`;
}

async function answer(url: string, { tlsCertPath = null }: ApiAddress, token?: string): Promise<unknown> {
  const options: RequestOptions = {
    signal: AbortSignal.timeout(DOCTOR_API_TIMEOUT_MS),
    ...(tlsCertPath !== null && trusting(tlsCertPath)),
    ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
  };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    (tlsCertPath === null ? getHttp : getHttps)(url, options, resolve).on('error', reject);
  });
  return JSON.parse(await text(response));
}

/** The certificate of the configuration is the one to be met, whoever signed it and whatever name it is for. */
function trusting(certPath: string): RequestOptions {
  return { ca: readFileSync(certPath), allowPartialTrustChain: true, checkServerIdentity: () => undefined };
}

/** Null where it isn't what a collector says. */
function readStatus(url: string, status: Readonly<Record<string, unknown>>): RunningCollector | null {
  const history = asObject(status.history);
  const { pid } = asObject(status.process);
  if (typeof status.version !== 'string' || typeof pid !== 'number' || typeof history.state !== 'string') {
    return null;
  }
  return {
    url,
    version: status.version,
    pid,
    historyPath: typeof history.path === 'string' ? history.path : null,
    historyState: history.state,
    historyProblem: messageOf(history.problem),
    samplesLost: sumOf(history.samples_lost),
    recording: status.recording ? readRecording(asObject(status.recording)) : null,
    buses: (Array.isArray(status.buses) ? status.buses : []).map(asObject).map((bus) => {
      const driver = asObject(bus.driver);
      return {
        name: String(bus.name),
        state: String(bus.state),
        problem: messageOf(bus.problem),
        warning: typeof driver.warning === 'string' ? driver.warning : null,
        kernelDrops: Number(driver.kernel_drops ?? 0),
        interfaceDrops: Number(driver.interface_drops ?? 0),
      };
    }),
  };
}

function readRecording(recording: Readonly<Record<string, unknown>>): RunningRecording {
  return {
    path: typeof recording.path === 'string' ? recording.path : null,
    state: String(recording.state),
    problem: messageOf(recording.problem),
    framesLost: sumOf(recording.frames_lost),
  };
}

function sumOf(counts: unknown): number {
  return Object.values(asObject(counts)).reduce<number>((sum, count) => sum + (Number(count) || 0), 0);
}

function messageOf(problem: unknown): string | null {
  const { message } = asObject(problem);
  return typeof message === 'string' ? message : null;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
