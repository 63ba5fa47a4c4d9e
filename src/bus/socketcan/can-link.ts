import { BusError } from '../../shared/errors.ts';
import { BITRATE_BIT_PER_S_DEFAULT, type FdMode, type LinkSettings } from '../bus-url.ts';

/**
 * A CAN interface as `ip -json -details link show` tells of it, what is to be changed for it to be as wanted,
 * and the `ip link set` commands that change it. Nothing here touches the system; ip-link.ts does.
 *
 * What ip prints is written down nowhere but in its source (iproute2, ip/ipaddress.c and ip/iplink_can.c), so
 * what is taken from it is checked, and what isn't known is passed over.
 */

/** What ip calls the kind of every controller whose driver lets its bitrate be set (info_kind). */
const CONTROLLER_KIND = 'can';

/** CANFD_MTU of linux/can.h, the MTU of an interface that takes CAN FD frames; CAN_MTU is 16. */
export const CAN_FD_MTU = 72;

/**
 * A controller makes its bits of whole cycles of its clock, and tells what came of it: 33333 bit/s may come out
 * as 33334. So settings within these are as wanted. Nodes that are 1% apart are about the last that understand
 * each other.
 */
const BITRATE_TOLERANCE = 0.01;
const SAMPLE_POINT_TOLERANCE = 0.05;

export interface BitTiming {
  readonly bitrateBitPerS: number;
  /** Null where the driver has fixed bitrates. */
  readonly samplePoint: number | null;
}

/** A CAN interface as it is. Null stands for what this kind of interface doesn't have or doesn't tell. */
export interface CanLink {
  readonly name: string;
  /** `can` for a controller, `vcan` or `vxcan` for a virtual bus; null for a driver that doesn't say. */
  readonly kind: string | null;
  readonly isUp: boolean;
  readonly mtu: number;
  readonly txQueueFrames: number | null;
  /** Such as ERROR-ACTIVE, ERROR-PASSIVE, BUS-OFF, STOPPED (when it is down). */
  readonly controllerState: string | null;
  readonly bitTiming: BitTiming | null;
  readonly dataBitTiming: BitTiming | null;
  readonly restartMs: number | null;
  /** Such as FD, LOOPBACK, LISTEN-ONLY. */
  readonly modes: readonly string[];
  /** The controller's own counters of errors, up to 255: beyond 127 it is passive, beyond that off the bus. */
  readonly errorCounts: { readonly tx: number; readonly rx: number } | null;
  /** Since the driver was loaded. */
  readonly busErrors: number | null;
  readonly busOffs: number | null;
  readonly restarts: number | null;
}

/** How an interface is to be. */
export interface LinkWanted extends LinkSettings {
  readonly interfaceName: string;
  /** `on`: frames of CAN FD are to be there. */
  readonly fd: FdMode;
}

/** One setting that isn't as wanted. */
export interface LinkDifference {
  readonly what: string;
  readonly found: string;
  readonly expected: string;
}

/** What `ip link set dev NAME` is given after the name. */
export type LinkCommand = readonly string[];

/** Reads what ip has printed of one interface. Throws BusError LINK_UNKNOWN where it isn't what ip prints. */
export function parseLink(text: string, interfaceName: string): CanLink {
  let links: unknown;
  try {
    links = JSON.parse(mended(text));
  } catch (error) {
    throw unknownShape(text, 'JSON', error);
  }
  const link = Array.isArray(links)
    ? links.map(asObject).find((each) => each.ifname === interfaceName)
    : undefined;
  if (link === undefined) throw unknownShape(text, `a list with the interface ${interfaceName}`);
  const { flags, mtu } = link;
  if (!isTexts(flags)) throw unknownShape(text, 'flags as a list of words');
  if (!isCount(mtu)) throw unknownShape(text, 'mtu as a number');

  const info = asObject(link.linkinfo);
  const data = asObject(info.info_data);
  const counts = asObject(data.berr_counter);
  const statistics = asObject(info.info_xstats);
  return {
    name: interfaceName,
    kind: asText(info.info_kind),
    isUp: flags.includes('UP'),
    mtu,
    txQueueFrames: asCount(link.txqlen),
    controllerState: asText(data.state),
    bitTiming: bitTiming(data.bittiming, data.bittiming_bitrate),
    dataBitTiming: bitTiming(data.data_bittiming, data.data_bittiming_bitrate),
    restartMs: asCount(data.restart_ms),
    modes: isTexts(data.ctrlmode) ? data.ctrlmode : [],
    errorCounts: isCount(counts.tx) && isCount(counts.rx) ? { tx: counts.tx, rx: counts.rx } : null,
    busErrors: asCount(statistics.bus_error),
    busOffs: asCount(statistics.bus_off),
    restarts: asCount(statistics.restarts),
  };
}

/** What isn't as wanted of an interface, whether it is up or down; empty where all is. */
export function linkDifferences(link: CanLink, wanted: LinkWanted): LinkDifference[] {
  const differences: LinkDifference[] = [];
  const { bitTiming, dataBitTiming } = link;
  function add(what: string, found: number | null | undefined, expected: number | undefined, unit: string) {
    if (expected === undefined) return;
    differences.push({
      what,
      found: found === null || found === undefined ? 'none' : `${found}${unit}`,
      expected: `${expected}${unit}`,
    });
  }
  if (link.kind === CONTROLLER_KIND) {
    if (!isBitrate(bitTiming, wanted.bitrateBitPerS)) {
      add('bitrate', bitTiming?.bitrateBitPerS, wanted.bitrateBitPerS, ' bit/s');
    }
    if (!isSamplePoint(bitTiming, wanted.samplePoint)) {
      add('sample point', bitTiming?.samplePoint, wanted.samplePoint, '');
    }
    if (!isBitrate(dataBitTiming, wanted.dataBitrateBitPerS)) {
      add('data bitrate', dataBitTiming?.bitrateBitPerS, wanted.dataBitrateBitPerS, ' bit/s');
    }
    if (!isSamplePoint(dataBitTiming, wanted.dataSamplePoint)) {
      add('data sample point', dataBitTiming?.samplePoint, wanted.dataSamplePoint, '');
    }
    if (link.restartMs !== wanted.restartMs) add('restart-ms', link.restartMs, wanted.restartMs, '');
  }
  if (link.txQueueFrames !== wanted.txQueueFrames) {
    add('txqueuelen', link.txQueueFrames, wanted.txQueueFrames, '');
  }
  if (isFdMissing(link, wanted)) {
    const how = isFdMendable(link, wanted) ? '' : ': say its dbitrate in the URL of the bus';
    differences.push({
      what: 'CAN FD',
      found: `off (MTU ${link.mtu})`,
      expected: `on (MTU ${CAN_FD_MTU})${how}`,
    });
  }
  return differences;
}

/**
 * The commands that make an interface as wanted and bring it up; empty where it is both. The kernel takes all
 * but the length of the queue only while an interface is down, and takes it all at once when it goes up.
 */
export function linkCommands(link: CanLink, wanted: LinkWanted): LinkCommand[] {
  const differences = linkDifferences(link, wanted).filter(
    ({ what }) => what !== 'CAN FD' || isFdMendable(link, wanted),
  );
  if (link.isUp && differences.length === 0) return [];
  if (link.isUp && differences.every(({ what }) => what === 'txqueuelen')) {
    return [['txqueuelen', String(wanted.txQueueFrames)]];
  }
  // A controller without a bitrate can't be brought up.
  const bitrateBitPerS =
    wanted.bitrateBitPerS ?? (link.bitTiming === null ? BITRATE_BIT_PER_S_DEFAULT : undefined);
  const up = upCommand(
    { ...wanted, ...(bitrateBitPerS !== undefined && { bitrateBitPerS }) },
    link.kind === CONTROLLER_KIND ? 'controller' : 'virtual',
    isFdMissing(link, wanted),
  );
  return link.isUp ? [['down'], up] : [up];
}

/** The command that brings an interface up with all that is wanted of it, whatever it has already. */
export function upCommand(
  wanted: LinkWanted,
  kind: 'controller' | 'virtual',
  needsFdMtu: boolean,
): LinkCommand {
  const words = ['up'];
  const option = (name: string, value: number | undefined) => {
    if (value !== undefined) words.push(name, String(value));
  };
  option('txqueuelen', wanted.txQueueFrames);
  if (kind === 'virtual') {
    if (needsFdMtu) option('mtu', CAN_FD_MTU);
    return words;
  }
  const start = words.push('type', 'can');
  option('bitrate', wanted.bitrateBitPerS);
  option('sample-point', wanted.samplePoint);
  option('dbitrate', wanted.dataBitrateBitPerS);
  option('dsample-point', wanted.dataSamplePoint);
  if (wanted.dataBitrateBitPerS !== undefined) words.push('fd', 'on');
  option('restart-ms', wanted.restartMs);
  return words.length === start ? words.slice(0, -2) : words;
}

/** Commands as one types them. */
export function commandText(interfaceName: string, commands: readonly LinkCommand[]): string {
  const name = shellWord(interfaceName);
  return commands.map((words) => `sudo ip link set ${name} ${words.join(' ')}`).join(' && ');
}

/** The name of an interface as a shell takes it: it may hold nearly anything. */
export function shellWord(interfaceName: string): string {
  return /^[\w.@+-]+$/.test(interfaceName) ? interfaceName : `'${interfaceName.replaceAll("'", "'\\''")}'`;
}

export function differencesText(differences: readonly LinkDifference[]): string {
  return differences
    .map(({ what, found, expected }) => `${what} is ${found}, expected ${expected}`)
    .join('; ');
}

function isFdMissing(link: CanLink, wanted: LinkWanted): boolean {
  // A controller that is given a data bitrate is switched to CAN FD, whether such frames are read or not: one
  // that doesn't know them would disturb them.
  const isWanted =
    wanted.fd === 'on' || (link.kind === CONTROLLER_KIND && wanted.dataBitrateBitPerS !== undefined);
  return isWanted && link.mtu < CAN_FD_MTU;
}

/** The kernel takes a controller to CAN FD only with a data bitrate. */
function isFdMendable(link: CanLink, wanted: LinkWanted): boolean {
  return link.kind !== CONTROLLER_KIND || wanted.dataBitrateBitPerS !== undefined;
}

function isBitrate(timing: BitTiming | null, wanted: number | undefined): boolean {
  if (wanted === undefined) return true;
  return timing !== null && Math.abs(timing.bitrateBitPerS - wanted) <= wanted * BITRATE_TOLERANCE;
}

function isSamplePoint(timing: BitTiming | null, wanted: number | undefined): boolean {
  if (wanted === undefined) return true;
  // Drivers with fixed bitrates have fixed sample points, too, and don't tell them.
  if (timing !== null && timing.samplePoint === null) return true;
  return timing !== null && Math.abs(timing.samplePoint! - wanted) <= SAMPLE_POINT_TOLERANCE;
}

/** A controller that was never given a bitrate has none, or one of 0. */
function bitTiming(timing: unknown, fixedBitrate: unknown): BitTiming | null {
  const { bitrate = fixedBitrate, sample_point: point } = asObject(timing);
  if (!isCount(bitrate) || bitrate === 0) return null;
  // A text in newer versions of ip, a number in older ones.
  const samplePoint = typeof point === 'string' || typeof point === 'number' ? Number(point) : Number.NaN;
  return { bitrateBitPerS: bitrate, samplePoint: Number.isFinite(samplePoint) ? samplePoint : null };
}

/** Older versions of ip print the controller's state between the JSON as plain text. */
function mended(text: string): string {
  return text.replace(
    /([{\]])state ([A-Z-]+) ,?/,
    (_match, before: string, state: string) => `${before}${before === ']' ? ',' : ''}"state":"${state}",`,
  );
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function asCount(value: unknown): number | null {
  return isCount(value) ? value : null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

/** How much of what was found a message repeats. */
const FOUND_CHARS_MAX = 80;

function unknownShape(text: string, expected: string, cause?: unknown): BusError {
  const found = JSON.stringify(text.length <= FOUND_CHARS_MAX ? text : `${text.slice(0, FOUND_CHARS_MAX)}…`);
  return new BusError(
    'LINK_UNKNOWN',
    `ip printed what isn't known: expected ${expected}; found ${found}. It is to be that of iproute2, 5.0 or newer.`,
    { cause },
  );
}
