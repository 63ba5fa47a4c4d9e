/** Names of the protocol as people read them: MOTOR_LEFT_REAR is Motor left rear, IMU_TEMPERATURE IMU temperature. */

/** The type of what is no part of a vehicle: the buses themselves, as the collector tells of them. */
export const CAN_BUS_TYPE = 'CAN_BUS';
/** What of them is measured as long as it isn't zero; the rest is told when it changes. */
export const BUS_MEASURED: readonly string[] = ['LOAD', 'FRAME_RATE'];

const KEPT = new Set([
  'RPM',
  'GPS',
  'IMU',
  'CPU',
  'HDOP',
  'NMEA',
  'GNSS',
  'ESP32',
  'CAN',
  'TX',
  'RX',
  'RSSI',
  'LED',
]);
const WRITTEN: Readonly<Record<string, string>> = { WIFI: 'Wi-Fi', PI: 'Pi', ID: 'ID', HZ: 'Hz' };
/** A unit at a name's end says again what stands beside the value. */
const UNIT_ENDS = /_(MS|KBPS|PERCENT|BYTES|DBM|C|S)$/;

const known = new Map<string, string>();

export function readableName(name: string): string {
  let readable = known.get(name);
  if (readable === undefined) {
    readable = sentence(name.replace(UNIT_ENDS, ''));
    known.set(name, readable);
  }
  return readable;
}

function sentence(name: string): string {
  const words = name.split('_').map((word) => {
    if (KEPT.has(word)) return word;
    return WRITTEN[word] ?? word.toLowerCase();
  });
  const text = words.filter((word) => word !== '').join(' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** For where a component's name stands beside that of its type: MOTORS, MOTOR_LEFT_REAR is Left rear. */
export function readableComponent(type: string, component: string): string {
  const singular = type.replace(/S$/, '');
  return readableName(
    component.startsWith(`${singular}_`) ? component.slice(singular.length + 1) : component,
  );
}

/** The same, for batteries that are named after the motor which they feed. */
export function readablePlace(type: string, component: string): string {
  return readableComponent(type, component.replace(/^MOTOR_/, ''));
}

/** A component where nothing else tells its type: Motors left rear, Navigation GPS primary. */
export function readablePart(type: string, component: string): string {
  const name = readableComponent(type, component);
  const isAbbreviation = /^.[^a-z]/.test(name);
  return `${readableName(type)} ${isAbbreviation ? name : name.charAt(0).toLowerCase() + name.slice(1)}`;
}

/** A signal by its key: Motors left rear · RPM. */
export function readableSignal(key: string): string {
  const [type = '', component = '', command = ''] = key.split('/');
  return `${readablePart(type, component)} · ${readableName(command)}`;
}
