import type { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { SampleBatch } from '../../protocol/sample-batch.ts';
import type { SeriesRecord } from '../../protocol/series-table.ts';
import { wallClockUs } from '../../shared/clock.ts';
import { errorCode, errorMessage, HistoryError } from '../../shared/errors.ts';
import {
  DATABASES_SET_ASIDE_MAX,
  NEWEST_SAMPLES_KEPT,
  SAMPLE_BATCHES_PER_COMMIT_MAX,
  SEGMENT_SAMPLES,
} from '../../shared/limits.ts';
import {
  checkContents,
  damageOf,
  damageOfOpening,
  findDamage,
  type SetAside,
  setAside,
} from '../database/damaged-database.ts';
import { durabilityOf, lockDatabase, openForWriting, realDatabasePath } from '../database/database.ts';
import { isDiskFailure, readUnwritable } from '../database/unwritable-database.ts';
import { WriteAheadLog } from '../database/write-ahead-log.ts';
import type {
  CorrectionDone,
  FromWriter,
  StoredError,
  ToWriter,
  WriterThreadData,
} from '../history-messages.ts';
import type { HistorySize } from '../history-query.ts';
import { type NewestColumns, readNewest } from '../reader/newest-samples.ts';
import type { CorrectedSpan } from './clock-ledger.ts';
import { HistoryWriter } from './history-writer.ts';

/** The thread that writes the database: the only one that ever does. */

const port = parentPort!;
const { batches, retention, flushIntervalMs, isLive, durability, protocolFiles, ...begun } =
  workerData as WriterThreadData;
const path = realDatabasePath((workerData as WriterThreadData).path);

/** What samples are stamped by, for a database that is begun anew. */
let { clock } = workerData as WriterThreadData;

/** For so long after a message compaction leaves the thread to what may follow. */
const QUIET_MS = 10;

/** How long compaction rests after a failure. */
const COMPACTION_RETRY_MS = 60_000;

function post(message: FromWriter): void {
  port.postMessage(message);
}

/** Damaged databases that this run has set aside. */
const allSetAside: SetAside[] = [];

/** The database, and what writes to it. */
interface Opened {
  readonly database: DatabaseSync;
  readonly writer: HistoryWriter;
  readonly log: WriteAheadLog;
  readonly stored: ReturnType<HistoryWriter['load']> & {
    readonly size: HistorySize;
    readonly newest: NewestColumns;
    readonly correction: CorrectionDone | null;
    readonly corrected: readonly CorrectedSpan[];
  };
}

/** Opens the database; one that is damaged is set aside, and another begun. Throws what is no damage. */
function openHistory(): Opened {
  const damage = findDamage(path);
  if (damage !== null) {
    moveAside(damage);
    return openHistory();
  }
  let database: DatabaseSync | undefined;
  try {
    database = openForWriting(path, durability);
    checkContents(database);
    const onDamage = (message: string) => post({ kind: 'damaged', message });
    const writer = new HistoryWriter(database, path, retention, SEGMENT_SAMPLES, onDamage, clock);
    writer.useProtocol(protocolFiles);
    const correction = writer.catchUpWithClock(wallClockUs());
    const newest = readNewest(database, NEWEST_SAMPLES_KEPT, onDamage);
    const stored = {
      ...writer.load(),
      size: writer.size(),
      newest,
      correction,
      corrected: writer.corrected(),
    };
    if (isLive) writer.beginLive(wallClockUs(), begun.beganUs ?? undefined);
    writer.beginClock(wallClockUs());
    writer.reserve(begun.nextSeq);
    return { database, writer, log: new WriteAheadLog(database, path), stored };
  } catch (error) {
    const damage = damageOfOpening(error);
    // Closed after it was moved, so that SQLite leaves the file and its log as they are.
    try {
      if (damage === null) throw error;
      moveAside(damage);
    } finally {
      database?.close();
    }
    return openHistory();
  }
}

function moveAside(reason: string): void {
  if (allSetAside.length === DATABASES_SET_ASIDE_MAX) {
    throw new HistoryError(
      'HISTORY_UNAVAILABLE',
      `The database ${path} is damaged (${reason}), as were the ${DATABASES_SET_ASIDE_MAX} before it. ` +
        'Give another disk with --db FILE.',
    );
  }
  const atMs = Date.now();
  allSetAside.push({ path: setAside(path, atMs), reason, atMs });
}

function serve({ database, writer, log, stored }: Opened, lock: DatabaseSync): void {
  post({
    kind: 'opened',
    ...stored,
    reservedSeq: writer.reservedSeq,
    durability: durabilityOf(database),
    uncertainFromSeq: writer.uncertainFromSeq,
    setAside: allSetAside.at(-1) ?? null,
  });

  /** All series, for a database that is begun anew. */
  const known: SeriesRecord[] = [...stored.series];
  /** Batches whose samples aren't durable yet: until then the reader takes them from there. */
  const held: number[] = [];
  /** The number of the first sample that hasn't come. */
  let nextSeq = stored.nextSeq;
  let heardAtMs = performance.now();
  let committedAtMs = performance.now();
  let compaction: NodeJS.Timeout | undefined;

  port.on('message', (message: ToWriter) => {
    heardAtMs = performance.now();
    switch (message.kind) {
      case 'series':
        known.push(...message.series);
        writer.addSeries(message.series);
        break;
      case 'samples':
        held.push(message.batch);
        append(new SampleBatch(batches[message.batch]!, message.count));
        // A flood of samples isn't to wait for the flush interval with all the batches.
        if (held.length >= SAMPLE_BATCHES_PER_COMMIT_MAX) commit();
        break;
      case 'gaps':
        for (const gap of message.gaps) writer.addGap(gap);
        break;
      case 'quarantine':
        writer.quarantine(message.block, message.found);
        break;
      case 'clock': {
        const { bootId, offsetUs, isSynchronized } = message.change;
        clock = { bootId, offsetUs, isSynchronized };
        writer.changeClock(message.change, message.firstSeq, message.wallClockUs);
        commit();
        break;
      }
      case 'commit':
        writer.observeClock(message.clock);
        commit();
        post({ kind: 'settled' });
        compactLater(QUIET_MS);
        break;
      case 'close':
        clearTimeout(compaction);
        commit(true);
        attempt(() => {
          writer.release(message.nextSeq);
          writer.shrink();
        });
        database.close();
        lock.close();
        port.close();
        break;
    }
  });

  function append(batch: SampleBatch): void {
    nextSeq = batch.firstSeq + batch.count;
    attempt(() => writer.append(batch));
  }

  function compactLater(delayMs: number): void {
    compaction ??= setTimeout(compact, delayMs);
  }

  /** A slice of compaction, when nothing else is asked; what it has ready goes with the next commit. */
  function compact(): void {
    compaction = undefined;
    const quietMs = performance.now() - heardAtMs;
    if (quietMs < QUIET_MS) {
      compactLater(QUIET_MS - quietMs);
      return;
    }
    let hasMore: boolean;
    try {
      hasMore = writer.compact();
    } catch (error) {
      compactionFailed(error);
      return;
    }
    if (hasMore) {
      compactLater(0);
    } else if (writer.hasCompacted) {
      // Where no samples come, there is no commit to go with.
      if (performance.now() - committedAtMs >= flushIntervalMs) commit();
      compactLater(flushIntervalMs);
    }
  }

  /** The samples of the open transaction have no part in it. */
  function compactionFailed(error: unknown): void {
    const failed = writer;
    attempt(() => failed.abandonCompaction());
    tellFailure(error, 0);
    // To give it up may have met the damage, too; then another database is in its place already.
    if (writer === failed) replaceIfDamaged(error);
    compactLater(COMPACTION_RETRY_MS);
  }

  compactLater(QUIET_MS);

  function commit(isLast = false): void {
    attempt(() => {
      const startedMs = performance.now();
      committedAtMs = startedMs;
      const { hasGapsPending, samplesKept } = writer;
      const samples = writer.commit(wallClockUs(), isLast);
      const durationMs = performance.now() - startedMs;
      const { reservedSeq } = writer;
      // Retention may have dropped some where none came.
      if (samples > 0 || hasGapsPending || writer.samplesKept !== samplesKept) {
        post({ kind: 'committed', reservedSeq, size: writer.size(), samples, durationMs });
      }
    });
    const compactionFailure = writer.takeCompactionFailure();
    if (compactionFailure !== null) compactionFailed(compactionFailure);
    if (writer.hasClockEvents) settleClock();
    if (held.length > 0) post({ kind: 'recycle', batches: held.splice(0) });
    attempt(() => log.trim(performance.now()));
  }

  /** Corrects timestamps, if the clock was set. What fails is tried again after the next commit. */
  function settleClock(): void {
    attempt(() => {
      for (const correction of writer.settleClock(wallClockUs())) {
        post({ kind: 'corrected', correction, corrected: writer.corrected(), size: writer.size() });
      }
    });
  }

  function tellFailure(error: unknown, samplesLost: number): void {
    post({ kind: 'failed', error: { code: errorCode(error), message: errorMessage(error) }, samplesLost });
  }

  /** A failure costs the open transaction, and is told; the next batch tries again. */
  function attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      tellFailure(error, writer.rollback());
      replaceIfDamaged(error);
    }
  }

  /** A damaged database refuses the next samples too, so they get another one. Where none can be made, the thread ends. */
  function replaceIfDamaged(error: unknown): void {
    const damage = damageOf(error);
    if (damage === null) return;
    try {
      moveAside(damage);
    } catch (cause) {
      // It stays, and so does the problem.
      tellFailure(cause, 0);
      return;
    }
    // Where compaction has met the damage, samples wait in the open transaction.
    if (writer.samplesPending > 0) tellFailure(error, writer.samplesPending);
    database.close();
    ({ database, writer, log } = openHistory());
    writer.addSeries(known);
    writer.reserve(nextSeq);
    post({ kind: 'set_aside', setAside: allSetAside.at(-1)! });
  }
}

/** Why there is no history: what isn't told in our own words is SQLite's or the file system's complaint. */
function refusal(error: unknown): StoredError {
  if (error instanceof HistoryError) return { code: error.code, message: error.message };
  return {
    code: 'HISTORY_UNAVAILABLE',
    message: `The database ${path} can't be used: ${errorMessage(error)}. Mend that, or give another with --db FILE.`,
  };
}

let lock: DatabaseSync | undefined;
try {
  lock = lockDatabase(path);
  serve(openHistory(), lock);
} catch (error) {
  post({
    kind: 'refused',
    error: refusal(error),
    held: isDiskFailure(error, path) ? readUnwritable(path) : null,
  });
  lock?.close();
}
