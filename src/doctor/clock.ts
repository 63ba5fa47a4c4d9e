import { isClockSynchronized } from '../shared/kernel-clock.ts';
import { type Check, isSystemFile, ok, problem, readSystemFile, warning } from './check.ts';

/** A clock that shows an earlier year was never set: nothing of this existed then. */
const YEAR_MIN = 2024;

/** Samples bear the time of the clock that the kernel has when a frame comes. */
export function checkClock(root = '/', nowMs = Date.now(), isSynchronized = isClockSynchronized()): Check[] {
  const now = new Date(nowMs);
  const isBehind = now.getUTCFullYear() < YEAR_MIN;
  const text = now.toISOString().replace(/\.\d+Z$/, 'Z');
  // systemd-timesyncd leaves this file; any other daemon tells the kernel alone.
  const isSynced = isSynchronized ?? isSystemFile(root, 'run/systemd/timesync/synchronized');
  const setIt = [
    'timedatectl   # says whether a time service runs; sudo timedatectl set-ntp true starts one',
    'Without a network: sudo date -u -s "YYYY-MM-DD hh:mm:ss"',
  ];
  const time = isBehind
    ? problem('time', text, `${YEAR_MIN} or later: samples would bear times of the past`, ...setIt)
    : isSynced
      ? ok('time', `${text}, synchronised`)
      : warning('time', `${text}, not synchronised`, 'a clock that is set by the network or GPS', ...setIt);
  return [time, realTimeClock(root)];
}

function realTimeClock(root: string): Check {
  const device = ['dev/rtc', 'dev/rtc0'].find((path) => isSystemFile(root, path));
  if (device !== undefined) {
    return ok('RTC', readSystemFile(root, 'sys/class/rtc/rtc0/name') ?? `/${device}`);
  }
  return warning(
    'RTC',
    'none: after a power cut the clock goes on where it stood, until the network sets it',
    'a clock with a battery',
    'Fit one, such as a DS3231: dtoverlay=i2c-rtc,ds3231 in /boot/firmware/config.txt (a Pi 5 has one and needs the battery)',
  );
}
