import {
  BITRATE_BIT_PER_S_MAX,
  BITRATE_BIT_PER_S_MIN,
  BUS_NAME_CHARS_MAX,
  type BusUrl,
  defaultBusName,
  isLog,
  parseBusUrl,
} from '../bus/bus-url.ts';
import { errorMessage } from '../shared/errors.ts';
import { HOST_BUS_NAME } from '../shared/host-bus.ts';
import { absolutePath, type PathBase } from './forms.ts';
import { found, type ProblemList } from './problems.ts';
import { BUS_NAME_PATTERN, BUSES_MAX, type BusConfig } from './schema.ts';
import type { FileBus, FileSettings } from './yaml-file.ts';

/** A text from a flag or a variable, with what messages call it. */
export interface InputText {
  readonly text: string;
  /** `flag --can` or `env CAN_INTERFACE` */
  readonly source: string;
}

/** Where buses may come from. */
export interface BusInputs {
  /** Each --bus, in order. */
  readonly urls: readonly InputText[];
  readonly interfaceFlag: InputText | undefined;
  readonly interfaceVariable: InputText | undefined;
  readonly bitrateFlag: InputText | undefined;
  readonly bitrateVariable: InputText | undefined;
  readonly file: FileSettings['buses'];
  readonly defaultUrl: string;
}

interface Bases {
  /** Of paths in flags and variables. */
  readonly working: PathBase;
  /** Of paths in the file. */
  readonly file: PathBase;
}

/** One bus as found, before it has its final name. */
interface FoundBus {
  readonly name: string | undefined;
  readonly url: string;
  readonly spec: BusUrl;
  readonly path: string;
  readonly where: string;
}

/**
 * The buses of the source with the highest precedence: --bus or --can, then CAN_INTERFACE, then the
 * file, then the default. Mistakes are told of every source, also of one that isn't used.
 *
 * --bitrate, or else CAN_BAUDRATE, is the bitrate of the CAN interfaces whose URL doesn't say one.
 */
export function resolveBuses(
  inputs: BusInputs,
  bases: Bases,
  problems: ProblemList,
): { buses: BusConfig[]; source: string } {
  const { urls, interfaceFlag, interfaceVariable, file } = inputs;
  if (urls.length > BUSES_MAX) {
    problems.add('buses', urls[0]!.source, `expected at most ${BUSES_MAX} buses; found ${urls.length}`);
  }
  if (urls.length > 0 && interfaceFlag !== undefined) {
    problems.add('buses', interfaceFlag.source, 'expected either --bus or --can; found both');
  }
  const bitrates = [inputs.bitrateFlag, inputs.bitrateVariable].filter((input) => input !== undefined);
  const bitrate = bitrates.flatMap((input) => parseBitrate(input, problems))[0];

  const read = (input: InputText) =>
    readBus(withBitrate(input.text, bitrate), 'buses', input.source, bases.working, problems);
  const candidates = [
    { buses: urls.slice(0, BUSES_MAX).map(read), source: urls[0]?.source },
    { buses: interfaceFlag && [read(asUrl(interfaceFlag))], source: interfaceFlag?.source },
    {
      buses: interfaceVariable && [read(asUrl(interfaceVariable))],
      source: interfaceVariable?.source,
    },
    { buses: file?.list.map((bus, index) => readFileBus(bus, index)), source: file?.source },
    { buses: [read({ text: inputs.defaultUrl, source: 'default' })], source: 'default' },
  ];
  const { buses = [], source = 'default' } = candidates.find((candidate) => candidate.source !== undefined)!;
  const usable = buses.filter((bus) => bus !== undefined);
  const isBitrateUsed = usable.some(({ url }) => url.endsWith(`bitrate=${bitrate}`));
  if (inputs.bitrateFlag !== undefined && bitrate !== undefined && usable.length > 0 && !isBitrateUsed) {
    const message = 'expected a CAN interface whose URL has no bitrate of its own; found none';
    problems.add('buses', inputs.bitrateFlag.source, message);
  }
  checkInterfacesOnce(usable, problems);
  return { buses: named(usable, problems), source };

  function readFileBus({ name, url }: FileBus, index: number): FoundBus | undefined {
    const path = `buses[${index}]`;
    const checkedName = name && readName(name.text, `${path}.name`, name.where, problems);
    if (url === undefined) return undefined;
    const text = withBitrate(url.text ?? '', bitrate);
    const bus = readBus(text, `${path}.url`, url.where, bases.file, problems);
    return bus && { ...bus, name: checkedName };
  }
}

function readName(
  text: string | null,
  path: string,
  where: string,
  problems: ProblemList,
): string | undefined {
  if (text !== null && new RegExp(BUS_NAME_PATTERN).test(text)) return text;
  const expected = `1 to ${BUS_NAME_CHARS_MAX} letters, digits, dots, dashes or underscores`;
  problems.add(path, where, `expected ${expected}; found ${found(text)}`);
  return undefined;
}

function readBus(
  url: string,
  path: string,
  where: string,
  base: PathBase,
  problems: ProblemList,
): FoundBus | undefined {
  try {
    const parsed = parseBusUrl(url);
    const spec = isLog(parsed) ? { ...parsed, path: absolutePath(parsed.path, base) } : parsed;
    return { name: undefined, url, spec, path, where };
  } catch (error) {
    problems.add(path, where, errorMessage(error));
    return undefined;
  }
}

function parseBitrate({ text, source }: InputText, problems: ProblemList): number[] {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= BITRATE_BIT_PER_S_MIN && value <= BITRATE_BIT_PER_S_MAX) return [value];
  const expected = `an integer from ${BITRATE_BIT_PER_S_MIN} to ${BITRATE_BIT_PER_S_MAX} (bit/s)`;
  problems.add('buses', source, `expected ${expected}; found ${found(text)}`);
  return [];
}

/** --can and CAN_INTERFACE take the name of an interface or a whole bus URL, which has a colon. */
function asUrl({ text, source }: InputText): InputText {
  if (text.includes(':')) return { text, source };
  return { text: `socketcan:${text.replaceAll('%', '%25').replaceAll('?', '%3F')}`, source };
}

/** A simulated or a replayed bus has no bitrate; that a container always sets one is no mistake. */
function withBitrate(url: string, bitrate: number | undefined): string {
  if (bitrate === undefined || !url.startsWith('socketcan:') || /[?&]bitrate(=|&|$)/.test(url)) return url;
  return `${url}${url.includes('?') ? '&' : '?'}bitrate=${bitrate}`;
}

/** Two buses on one interface would count and keep every frame twice. */
function checkInterfacesOnce(buses: readonly FoundBus[], problems: ProblemList): void {
  const seen = new Set<string>();
  for (const { spec, path, where } of buses) {
    if (spec.kind !== 'socketcan') continue;
    if (seen.has(spec.interfaceName)) {
      problems.add(path, where, `expected each CAN interface once; found ${found(spec.interfaceName)} again`);
    }
    seen.add(spec.interfaceName);
  }
}

/** Given names must be unique; a name made here gets a number where it would not be. */
function named(buses: readonly FoundBus[], problems: ProblemList): BusConfig[] {
  const taken = new Set<string>([HOST_BUS_NAME]);
  for (const { name, path, where } of buses) {
    if (name === undefined) continue;
    if (name === HOST_BUS_NAME) {
      const why = "this one stands for this machine's own health (host.interval)";
      problems.add(path, where, `expected another name; found ${found(name)}: ${why}`);
    } else if (taken.has(name))
      problems.add(path, where, `expected a name of its own; found ${found(name)} again`);
    taken.add(name);
  }
  return buses.map(({ name, url, spec }) => {
    if (name !== undefined) return { name, url, spec };
    const stem = defaultBusName(spec);
    let free = stem;
    for (let number = 2; taken.has(free); number++) {
      const suffix = `-${number}`;
      free = stem.slice(0, BUS_NAME_CHARS_MAX - suffix.length) + suffix;
    }
    taken.add(free);
    return { name: free, url, spec };
  });
}
