import type { ApiConfig } from '../config/schema.ts';
import { DOCTOR_API_TIMEOUT_MS } from '../shared/limits.ts';

/** A collector that answers at the address of the configuration, as its /api/status tells of it. */
export interface RunningCollector {
  readonly url: string;
  readonly version: string;
  readonly pid: number;
  readonly historyPath: string;
  readonly historyState: string;
  readonly historyProblem: string | null;
  /** Samples that didn't get into the history since the start. */
  readonly samplesLost: number;
  readonly buses: readonly RunningBus[];
}

export interface RunningBus {
  readonly name: string;
  readonly state: string;
  readonly problem: string | null;
  readonly warning: string | null;
  readonly kernelDrops: number;
}

/** What is at the address: a collector, `other` for whatever else speaks HTTP there, null for nothing that does. */
export async function findCollector(api: ApiConfig): Promise<RunningCollector | 'other' | null> {
  const url = apiUrl(api);
  try {
    const health = await answer(`${url}/healthz`);
    const status = asObject(await answer(`${url}/api/status`));
    if (asObject(health).status !== 'ok') return 'other';
    return readStatus(url, status) ?? 'other';
  } catch (error) {
    return error instanceof SyntaxError ? 'other' : null;
  }
}

/** Where to ask; an address that stands for all of a machine's isn't one to connect to. */
export function apiUrl({ host, port }: ApiConfig): string {
  const target = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${target.includes(':') ? `[${target}]` : target}:${port}`;
}

async function answer(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(DOCTOR_API_TIMEOUT_MS) });
  return await response.json();
}

/** Null where it isn't what a collector says. */
function readStatus(url: string, status: Readonly<Record<string, unknown>>): RunningCollector | null {
  const history = asObject(status.history);
  const { pid } = asObject(status.process);
  if (typeof status.version !== 'string' || typeof pid !== 'number' || typeof history.path !== 'string') {
    return null;
  }
  return {
    url,
    version: status.version,
    pid,
    historyPath: history.path,
    historyState: String(history.state),
    historyProblem: messageOf(history.problem),
    samplesLost: Object.values(asObject(history.samples_lost)).reduce<number>(
      (sum, count) => sum + (Number(count) || 0),
      0,
    ),
    buses: (Array.isArray(status.buses) ? status.buses : []).map(asObject).map((bus) => {
      const driver = asObject(bus.driver);
      return {
        name: String(bus.name),
        state: String(bus.state),
        problem: messageOf(bus.problem),
        warning: typeof driver.warning === 'string' ? driver.warning : null,
        kernelDrops: Number(driver.kernel_drops ?? 0),
      };
    }),
  };
}

function messageOf(problem: unknown): string | null {
  const { message } = asObject(problem);
  return typeof message === 'string' ? message : null;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
