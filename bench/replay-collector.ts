import { pino } from 'pino';
import { parseBusUrl } from '../src/bus/bus-url.ts';
import { KEEP_EVERYTHING } from '../src/history/retention.ts';
import { startPipeline } from '../src/pipeline/pipeline.ts';

/**
 * The collector's whole path over a log: bus worker, decoder, state, history, until every sample is
 * durable. Usage: replay-collector.ts DATABASE LOG..., each log a bus of its own. Prints one line of JSON, as replay.py does: frames,
 * seconds, cpu_seconds (all threads). Both count from where the log is opened, with the program loaded.
 */

const [path, ...logs] = process.argv.slice(2) as [string, ...string[]];
const history = {
  path,
  flushIntervalMs: 1000,
  durability: 'full',
  ...KEEP_EVERYTHING,
  timestampResolutionUs: 1,
} as const;

let startedMs = 0;
let startedCpu = process.cpuUsage();
/** The pipeline's own log says when the bus is open. */
const openings = {
  write(line: string): void {
    if (!line.includes('"msg":"bus open"')) return;
    if (startedMs !== 0) return;
    startedMs = performance.now();
    startedCpu = process.cpuUsage();
  },
};
const buses = logs.map((log, index) => {
  const url = `candump:${encodeURIComponent(log)}?speed=max`;
  return { name: `can${index}`, url, spec: parseBusUrl(url) };
});
const pipeline = await startPipeline({ buses, history }, pino({}, openings));
await pipeline.ended;
await pipeline.history.flush();
const seconds = (performance.now() - startedMs) / 1000;
const { user, system } = process.cpuUsage(startedCpu);

const frames = pipeline.sources.reduce((sum, { bus }) => sum + bus.status().frames, 0);
const { size, samplesLost } = pipeline.history.status();
await pipeline.stop();
if (startedMs === 0 || size.samples !== frames || samplesLost.queue + samplesLost.write > 0) {
  throw new Error(`${frames} frames gave ${size.samples} samples, lost: ${JSON.stringify(samplesLost)}`);
}
process.stdout.write(`${JSON.stringify({ frames, seconds, cpu_seconds: (user + system) / 1e6 })}\n`);
