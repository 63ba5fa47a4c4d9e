import { Bus } from '../bus/bus.ts';
import { isLog } from '../bus/bus-url.ts';
import type { CollectorConfig } from '../config/schema.ts';
import { Recorder, type RecordingStatus } from '../recording/recorder.ts';
import { STOP_DEADLINE_MS } from '../shared/limits.ts';
import { createLog } from '../shared/log.ts';
import { busLine } from './banner.ts';
import { FAILURE_EXIT_CODE } from './options.ts';
import { signalled } from './signalled.ts';

/** What ends a recording of a log that can't be read. */
const UNREADABLE = Symbol('unreadable');

/**
 * Records until SIGTERM or SIGINT, until every bus has ended, or until a log can't be read: it isn't waited for, as a live
 * bus is. Resolves with the process's exit code, which says whether every frame is in the recording.
 */
export async function recordBuses(config: CollectorConfig, path: string): Promise<number> {
  const output = createLog(config.log);
  const { log } = output;
  const stopAsked = signalled();
  const recorder = new Recorder({
    ...config.recording,
    path,
    busNames: config.buses.map(({ name }) => name),
    log: log.child({ stage: 'recording' }),
  });
  const endings: Promise<void>[] = [];
  const unreadable = Promise.withResolvers<typeof UNREADABLE>();
  const buses = config.buses.map(({ name, url, spec }, index) => {
    const end = Promise.withResolvers<void>();
    endings.push(end.promise);
    const bus: Bus = new Bus({
      name,
      url,
      spec,
      log: log.child({ stage: 'bus' }),
      onFrames(batch, release) {
        recorder.record(batch, index);
        if (bus.canWait && !recorder.hasRoom) recorder.whenRoom(release);
        else release();
      },
      onEnded: () => end.resolve(),
      onDown(_fromUs, toUs) {
        if (toUs === null && isLog(spec)) unreadable.resolve(UNREADABLE);
      },
    });
    return bus;
  });
  try {
    recorder.start();
    for (const bus of buses) bus.start();
    process.stdout.write(`${config.buses.map((bus) => `${busLine(bus)}\n`).join('')}  Recording ${path}\n`);
    const end = await Promise.race([stopAsked, Promise.all(endings), unreadable.promise]);
    const deadline = setTimeout(() => {
      log.error({ after_ms: STOP_DEADLINE_MS }, 'stopped by force: not everything may have been recorded');
      process.exit(FAILURE_EXIT_CODE);
    }, STOP_DEADLINE_MS);
    await Promise.all(buses.map((bus) => bus.stop()));
    await recorder.stop();
    clearTimeout(deadline);
    const status = recorder.status();
    process.stdout.write(summary(status));
    const { queue, write, failed } = status.framesLost;
    return queue + write + failed === 0 && end !== UNREADABLE ? 0 : FAILURE_EXIT_CODE;
  } finally {
    await output.close();
  }
}

function summary({ frames, framesLost, files, bytes, path }: RecordingStatus): string {
  const { queue, write, failed } = framesLost;
  const losses = [
    queue > 0 ? `${queue} lost: the disk was too slow` : '',
    write > 0 ? `${write} lost: they could not be written` : '',
    failed > 0 ? `${failed} lost: the recorder had ended` : '',
  ].filter(Boolean);
  return `${frames} frames recorded${losses.map((loss) => `, ${loss}`).join('')}; ${files} files of ${bytes} bytes in ${path}\n`;
}
