import { apiBench } from './api/api.ts';
import { dashboardBench } from './dashboard/dashboard.ts';
import { dashboardMemoryBench } from './dashboard/memory.ts';
import { historyBench } from './history.ts';
import { receiversBench } from './receivers/receivers.ts';
import { recordingBench } from './recording.ts';
import { replayBench } from './replay.ts';
import { scalingBench } from './scaling.ts';
import { stagesBench } from './stages.ts';

/**
 * npm run bench: every figure is a ratio to a reference that is measured in the same run, in turn with
 * ours, as machines are shared and noisy. ARCHITECTURE.md says what they were last.
 */

const benches: Readonly<Record<string, () => Promise<void>>> = {
  replay: replayBench,
  stages: stagesBench,
  scaling: scalingBench,
  history: historyBench,
  recording: recordingBench,
  receivers: receiversBench,
  api: apiBench,
  dashboard: dashboardBench,
  'dashboard-memory': dashboardMemoryBench,
};
/** They take half an hour. */
const ONLY_WHEN_ASKED = ['dashboard-memory'];

const asked = process.argv.slice(2);
const usual = Object.keys(benches).filter((name) => !ONLY_WHEN_ASKED.includes(name));
for (const name of asked.length > 0 ? asked : usual) {
  const bench = benches[name];
  if (bench === undefined) {
    process.stderr.write(`There is no benchmark "${name}". There are: ${Object.keys(benches).join(', ')}.\n`);
    process.exit(2);
  }
  await bench();
}
