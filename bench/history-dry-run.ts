import { ProtocolRegistry } from '../src/protocol/protocol-registry.ts';
import { SampleBatch } from '../src/protocol/sample-batch.ts';
import { SeriesTable } from '../src/protocol/series-table.ts';
import { recordDrive } from './history-drive.ts';
import { answer, trialOptions } from './history-trial.ts';

/** The drive without a record of it: what making and decoding it costs. */

const registry = ProtocolRegistry.load();
const samples = SampleBatch.allocate();
function empty(): void {
  samples.count = 0;
}
const recorder = {
  table: new SeriesTable(registry),
  samples,
  handOver: empty,
  commit: empty,
  settle() {},
  ask() {},
  close() {},
};
answer(await recordDrive(trialOptions(), registry, recorder));
