import { ProtocolRegistry } from '../src/protocol/protocol-registry.ts';
import { SeriesTable } from '../src/protocol/series-table.ts';
import { recordDrive } from './history-drive.ts';
import {
  checkStored,
  openStore,
  queryNewest,
  querySignal,
  settleStore,
  signalPoints,
} from './history-store.ts';
import {
  answer,
  databaseBytes,
  middleHour,
  type Queries,
  type TrialOptions,
  timed,
  trialOptions,
  wholeDrive,
} from './history-trial.ts';

/** The drive in the collector's history: the store, its threads and its file as the service has them. */

async function measureQueries({ hours }: TrialOptions): Promise<Queries> {
  const points = signalPoints(store);
  return {
    signalHour: await timed(() => querySignal(store, middleHour(hours))),
    signalWhole: points === null ? null : await timed(() => points(wholeDrive(hours))),
    newest: await timed(() => queryNewest(store)),
  };
}

const options = trialOptions();
const registry = ProtocolRegistry.load();
const table = new SeriesTable(registry);
const store = await openStore(options.path, table);
let queries: Queries | null = null;
const recorded = await recordDrive(options, registry, {
  table,
  get samples() {
    return store.samples;
  },
  handOver: () => store.handOver(),
  commit: () => store.flush(),
  settle: settleStore,
  async ask() {
    if (options.withQueries) queries = await measureQueries(options);
  },
  close: () => store.close(),
});
checkStored(store, recorded.samples);
answer({
  ...recorded,
  fileBytes: databaseBytes(options.path),
  queries,
});
