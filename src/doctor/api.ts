import { once } from 'node:events';
import { createServer } from 'node:net';
import { errorCode, errorMessage } from '../shared/errors.ts';
import { type Check, ok, problem, warning } from './check.ts';
import {
  type ApiAddress,
  apiUrl,
  type RunningCollector,
  type RunningRecording,
} from './running-collector.ts';

/** The address of the API: answered by a collector, free, or neither. */
export async function checkApi(
  api: ApiAddress,
  running: RunningCollector | 'guarded' | 'other' | null,
  historyPath: string,
  recordingPath: string | null = null,
): Promise<Check[]> {
  if (running === null) return [await checkAddress(api)];
  if (running === 'guarded') return [guarded(api)];
  if (running === 'other') return [taken(api, 'what answers is no collector')];
  return [
    ok(
      'service',
      `telemetry-collector ${running.version} answers at ${running.url} (process ${running.pid})`,
    ),
    ...checkRunning(running, historyPath, recordingPath),
  ];
}

function guarded(api: ApiAddress): Check {
  return warning(
    'service',
    `a collector answers at ${apiUrl(api)}, but tells its status only to those with a token`,
    'a token, to see what it says of itself',
    'Make one: telemetry-collector token create --name doctor --scope read --scope admin --expires 1d',
    'Give it in the environment: COLLECTOR_TOKEN=... telemetry-collector doctor',
  );
}

async function checkAddress(api: ApiAddress): Promise<Check> {
  const { host, port } = api;
  if (port === 0) return ok('address', `${host}, any free port`);
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    return ok('address', `${apiUrl(api)} is free; no collector is running`);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EADDRINUSE') return taken(api, 'no collector answers there');
    if (code === 'EACCES') {
      return problem(
        'address',
        `port ${port} may not be used by this user`,
        'a port that may be used',
        'Take one from 1024 on: --port 5001',
      );
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      return problem(
        'address',
        `this machine has no address ${host}`,
        'one of its own',
        'See which it has: ip -brief address',
        'Serve all of them: --host 0.0.0.0',
      );
    }
    return problem('address', errorMessage(error), `to listen on ${host}, port ${port}`);
  } finally {
    server.close();
  }
}

function taken({ port }: ApiAddress, found: string): Check {
  return problem(
    'address',
    `port ${port} is taken: ${found}`,
    'a free port, or a collector that answers',
    `See which program it is: sudo ss -ltnp 'sport = :${port}'`,
    `Take another port: --port ${port === 65_535 ? port - 1 : port + 1}`,
  );
}

/** What a running collector says of itself. */
function checkRunning(running: RunningCollector, historyPath: string, recordingPath: string | null): Check[] {
  const checks: Check[] = [];
  for (const bus of running.buses) {
    const { name, state, problem: failure, warning: note, kernelDrops, interfaceDrops } = bus;
    if (state === 'unavailable') checks.push(problem(`bus ${name}`, failure ?? state, 'open'));
    else if (failure !== null) checks.push(warning(`bus ${name}`, failure, 'frames that come'));
    else if (note !== null) checks.push(warning(`bus ${name}`, note, 'no warning'));
    else checks.push(ok(`bus ${name}`, state));
    const lost = (found: string, remedy: string) =>
      checks.push(warning(`bus ${name}`, `${found} since the start`, 'none', remedy));
    if (interfaceDrops > 0) {
      const remedy = "Its controller's buffer was full: a higher spimaxfrequency, or another adapter.";
      lost(`the interface lost ${interfaceDrops} frames`, remedy);
    }
    if (kernelDrops > 0) {
      const remedy = 'A larger buffer (CAP_NET_ADMIN), or a faster machine.';
      lost(`the kernel dropped ${kernelDrops} frames`, remedy);
    }
  }
  if (running.historyState !== 'open') {
    checks.push(problem('history', running.historyProblem ?? running.historyState, 'open'));
  } else if (running.samplesLost > 0) {
    const found = `${running.samplesLost} samples lost since the start`;
    checks.push(warning('history', found, 'none', `See when and why: curl ${running.url}/api/gaps`));
  } else {
    checks.push(ok('history', 'open, no sample lost since the start'));
  }
  if (running.recording !== null) checks.push(checkRecorder(running.recording));
  if (running.historyPath !== null && running.historyPath !== historyPath) {
    checks.push(otherwise(`it keeps its history in ${running.historyPath}`, historyPath));
  }
  const { recording } = running;
  const isRecordedElsewhere =
    recording === null || (recording.path !== null && recording.path !== recordingPath);
  if (recordingPath !== null && isRecordedElsewhere) {
    const found = recording === null ? 'it records nothing' : `it records to ${recording.path}`;
    checks.push(otherwise(found, recordingPath));
  }
  return checks;
}

function otherwise(found: string, configured: string): Check {
  return warning(
    'configuration',
    found,
    `${configured}, as this configuration says`,
    'Give the configuration of the service: doctor --config FILE, and STATE_DIRECTORY as systemd sets it.',
  );
}

function checkRecorder({ state, problem: failure, framesLost }: RunningRecording): Check {
  if (state !== 'recording') return problem('recording', failure ?? state, 'recording');
  if (framesLost === 0) return ok('recording', 'no frame lost since the start');
  return warning(
    'recording',
    `${framesLost} frames lost since the start`,
    'none',
    'recording.frames_lost in /api/status says how; docs/operating.md what helps.',
  );
}
