import { globSync } from 'node:fs';
import { bytesText, type Check, ok, problem, readSystemFile, warning } from './check.ts';

/** What the service takes with a history and queries of it (ARCHITECTURE.md, Figures), and some more. */
const MEMORY_BYTES_MIN = 400 * 1024 * 1024;

/** A Pi slows down from 80 °C on. */
const TEMPERATURE_C_MAX = 80;

/** Bits of the Pi firmware's get_throttled; the same 16 higher say that it was so since the start. */
const UNDERVOLTAGE = 1;
const THROTTLED = 0b1110;
const SINCE_START = 16;

export function checkHost(isCollectorRunning: boolean, root = '/'): Check[] {
  return [memory(isCollectorRunning, root), temperature(root), power(root)].filter((check) => check !== null);
}

function memory(isCollectorRunning: boolean, root: string): Check | null {
  const text = /^MemAvailable:\s*(\d+) kB$/m.exec(readSystemFile(root, 'proc/meminfo') ?? '')?.[1];
  if (text === undefined) return null;
  const bytes = Number(text) * 1024;
  const found = `${bytesText(bytes)} free`;
  // What a running service needs, it has.
  if (isCollectorRunning || bytes >= MEMORY_BYTES_MIN) return ok('memory', found);
  return warning(
    'memory',
    found,
    `${bytesText(MEMORY_BYTES_MIN)}`,
    'See what takes it: ps -eo rss,comm --sort=-rss | head',
  );
}

function temperature(root: string): Check | null {
  const text = readSystemFile(root, 'sys/class/thermal/thermal_zone0/temp');
  if (text === null || !/^-?\d+$/.test(text)) return null;
  const celsius = Number(text) / 1000;
  const found = `${celsius.toFixed(1)} °C`;
  if (celsius < TEMPERATURE_C_MAX) return ok('temperature', found);
  return warning('temperature', found, `below ${TEMPERATURE_C_MAX} °C`, 'A heat sink, a fan, or more air.');
}

/** Undervoltage is what damages cards. */
function power(root: string): Check | null {
  const [path] = globSync('sys/devices/platform/soc*/*firmware*/get_throttled', { cwd: root });
  const text = path === undefined ? null : readSystemFile(root, path);
  if (text === null || !/^(0x)?[0-9a-f]+$/i.test(text)) return null;
  const bits = Number.parseInt(text, 16);
  const supply =
    'A supply of 5.1 V and 3 A (a Pi 5: 5 A) with a short, thick cable; in a vehicle a DC/DC converter.';
  if ((bits & UNDERVOLTAGE) !== 0) return problem('power', 'undervoltage now', '4.63 V or more', supply);
  if (((bits >> SINCE_START) & UNDERVOLTAGE) !== 0) {
    return warning('power', 'undervoltage since the start', 'never', supply);
  }
  if (((bits | (bits >> SINCE_START)) & THROTTLED) !== 0) {
    return warning('power', `slowed down (get_throttled ${text})`, 'full speed', supply, 'Or more air.');
  }
  return ok('power', 'no undervoltage');
}
