import { statSync } from 'node:fs';
import { findDamage } from '../history/database/damaged-database.ts';
import { isDatabaseInUse, openStored, realDatabasePath } from '../history/database/database.ts';
import { errorCode, errorMessage } from '../shared/errors.ts';
import { WAL_BYTES_MAX } from '../shared/limits.ts';
import { bytesText, type Check, ok, problem, warning } from './check.ts';

/** The database, as far as can be told without writing to it. `isOurs`: the collector that answers writes it. */
export function checkHistory(configuredPath: string, isOurs: boolean): Check[] {
  const path = realDatabasePath(configuredPath);
  const checks = [inUse(path, isOurs)];
  try {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) {
      return [...checks, ok('database', `none yet: ${path} is made at the first start`)];
    }
  } catch (error) {
    return [...checks, unreadable(errorMessage(error), isOurs)];
  }
  return [...checks, database(path, isOurs), writeAheadLog(path)];
}

function inUse(path: string, isOurs: boolean): Check {
  if (isOurs) return ok('lock', 'held by the collector that answers');
  const isInUse = isDatabaseInUse(path);
  if (isInUse === false) return ok('lock', 'free');
  if (isInUse === null) {
    return warning(
      'lock',
      `${path}-lock may not be tried by this user`,
      'to know whether another collector has the database',
      'Run this as the user of the service, or with sudo.',
    );
  }
  return problem(
    'lock',
    `another collector has ${path}`,
    'one collector for each database',
    `See which it is: sudo fuser -v ${path}-lock`,
    'Stop it (sudo systemctl stop telemetry-collector), or give this one another database: --db FILE',
  );
}

function database(path: string, isOurs: boolean): Check {
  const hasLog = statSync(`${path}-wal`, { throwIfNoEntry: false }) !== undefined;
  const sharing = isOurs || hasLog || isDatabaseInUse(path) !== false ? 'shared' : 'unshared';
  try {
    openStored(path, sharing).close();
    const damage = findDamage(path, sharing);
    if (damage !== null) {
      return problem(
        'database',
        `${path} is damaged: ${damage}`,
        'a sound one',
        'The next start sets it aside and begins another; docs/operating.md says how to get out of it what can be read.',
        'A card that damages one damages the next: replace it.',
      );
    }
    return ok('database', `${path}, ${bytesText(statSync(path).size)}`);
  } catch (error) {
    const message = errorMessage(error);
    if (errorCode(error) === 'HISTORY_TOO_OLD') return ok('database', message);
    if (errorCode(error) === 'HISTORY_UNAVAILABLE') return unreadable(message, isOurs);
    return problem('database', message, 'a database of this collector', 'Give another one with --db FILE.');
  }
}

/** systemd keeps the folder of a service with DynamicUser= from all others. */
function unreadable(found: string, isOurs: boolean): Check {
  return (isOurs ? warning : problem)(
    'database',
    found,
    'one that this user may read',
    'Run this as the user of the service, or with sudo.',
  );
}

function writeAheadLog(path: string): Check {
  const bytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes <= WAL_BYTES_MAX) return ok('write-ahead log', bytesText(bytes));
  return warning(
    'write-ahead log',
    bytesText(bytes),
    `${bytesText(WAL_BYTES_MAX)} at the most`,
    `A program holds a transaction open, such as an sqlite3 prompt: sudo fuser -v ${path}`,
  );
}
