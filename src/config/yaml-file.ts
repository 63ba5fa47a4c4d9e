import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';

import { errorCode, errorMessage } from '../shared/errors.ts';
import { expectedText } from './forms.ts';
import { didYouMean, found, type ProblemList } from './problems.ts';
import type { Setting } from './reference.ts';
import { BUSES_MAX } from './schema.ts';

/** A value as it stands in the file. */
export interface FileText {
  /** The text without quotes; null for a key without a value. */
  readonly text: string | null;
  /** `collector.yaml:3:9` */
  readonly where: string;
  /** `collector.yaml:3` */
  readonly source: string;
}

export interface FileBus {
  readonly where: string;
  readonly name?: FileText;
  readonly url?: FileText;
}

export interface FileSettings {
  /** By setting path. */
  readonly texts: ReadonlyMap<string, FileText>;
  readonly buses?: { readonly list: readonly FileBus[]; readonly source: string };
}

export const CONFIG_FILE_BYTES_MAX = 1_048_576;

const BUS_KEYS = ['name', 'url'];

/** Keys longer than this are nonsense and not worth looking for the key they were meant to be. */
const KEY_CHARS_MAX = 64;

/** The text of the file; a string in `problem` where it can't be had, undefined where it isn't there. */
export function readConfigText(path: string): { text: string } | { problem: string } | undefined {
  let descriptor: number;
  try {
    // Opening a named pipe that nobody writes would wait for ever without O_NONBLOCK.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? undefined : { problem: unreadable(error) };
  }
  try {
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) return { problem: 'expected a YAML file; found a directory' };
    if (!stats.isFile()) return { problem: 'expected a regular file; found a device, a pipe or a socket' };
    if (stats.size > CONFIG_FILE_BYTES_MAX) {
      return { problem: `expected a file of at most 1 MiB; found ${stats.size} bytes` };
    }
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(descriptor)) };
  } catch (error) {
    return {
      problem: error instanceof TypeError ? 'expected UTF-8 text; found other bytes' : unreadable(error),
    };
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Finds the settings in YAML text; `fileName` is what messages call it. Only what the settings name is
 * ever looked at, so neither aliases nor deep nesting make more work than the text is long.
 */
export function parseConfigYaml(
  text: string,
  fileName: string,
  settings: readonly Setting[],
  problems: ProblemList,
): FileSettings {
  return new YamlReader(text, fileName, settings, problems).read();
}

class YamlReader {
  readonly #lines = new LineCounter();
  readonly #document: ReturnType<typeof parseDocument>;
  readonly #fileName: string;
  readonly #settings: readonly Setting[];
  readonly #problems: ProblemList;
  readonly #texts = new Map<string, FileText>();
  #buses: FileSettings['buses'];

  constructor(text: string, fileName: string, settings: readonly Setting[], problems: ProblemList) {
    // The library compares each key with each other one, which takes minutes for a file of keys alone;
    // #entries finds duplicates in one pass. Known tags would turn text into dates and byte arrays.
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      uniqueKeys: false,
      resolveKnownTags: false,
    });
    this.#fileName = fileName;
    this.#settings = settings;
    this.#problems = problems;
  }

  read(): FileSettings {
    const { contents, errors, warnings } = this.#document;
    for (const { message, pos } of [...errors, ...warnings]) {
      const isTooDeep = message.includes('call stack');
      this.#problem(
        '',
        pos[0],
        isTooDeep ? 'expected YAML; found too many levels of nesting' : `YAML: ${message}`,
      );
    }
    // What a text with syntax errors says is guesswork; mistakes found in it would mislead.
    if (errors.length === 0) this.#readSection('', contents);
    return { texts: this.#texts, ...(this.#buses && { buses: this.#buses }) };
  }

  /** Reads the mapping of a section; the root is the section without a name. */
  #readSection(section: string, written: Node | null): void {
    const node = this.#resolved(written);
    // A section whose keys are all commented out is an empty one.
    if (node === null || (isScalar(node) && node.value === null)) return;
    if (!isMap(node)) {
      this.#problem(section, written, `expected keys and values; found ${describe(node)}`);
      return;
    }

    const prefix = section === '' ? '' : `${section}.`;
    const paths = this.#settings.map(({ path }) => path).filter((path) => path.startsWith(prefix));
    const keys = [...new Set(paths.map((path) => path.slice(prefix.length).split('.')[0]!))];
    for (const { key, keyNode, value } of this.#entries(section, node)) {
      const path = prefix + key;
      const setting = this.#settings.find((candidate) => candidate.path === path);
      if (setting?.form === 'buses') this.#readBuses(setting, value);
      else if (setting?.isList === true) this.#readList(setting, value, keyNode);
      else if (setting !== undefined)
        this.#readText(setting.path, expectedText(setting), value, keyNode, this.#texts);
      else if (keys.includes(key)) this.#readSection(path, value);
      else this.#unknownKey(section, key, keyNode, keys);
    }
  }

  #readBuses(setting: Setting, written: Node | null): void {
    const node = this.#resolved(written);
    if (!isSeq(node) || node.items.length === 0) {
      const shown = isSeq(node) ? 'an empty list' : describe(node);
      this.#problem(setting.path, written, `expected ${expectedText(setting)}; found ${shown}`);
      return;
    }
    if (node.items.length > BUSES_MAX) {
      this.#problem(setting.path, written, `expected at most ${BUSES_MAX} buses; found ${node.items.length}`);
      return;
    }
    const list = node.items.map((item, index) =>
      this.#readBus(`${setting.path}[${index}]`, item as Node | null, node),
    );
    this.#buses = { list, source: this.#source(written) };
  }

  #readBus(path: string, written: Node | null, list: Node): FileBus {
    const node = this.#resolved(written);
    const where = this.#where(written ?? list);
    if (!isMap(node)) {
      this.#problem(
        path,
        written ?? list,
        `expected a bus as "url: socketcan:can0"; found ${describe(node)}`,
      );
      return { where };
    }
    const texts = new Map<string, FileText>();
    for (const { key, keyNode, value } of this.#entries(path, node)) {
      if (BUS_KEYS.includes(key)) this.#readText(key, 'text', value, keyNode, texts, `${path}.${key}`);
      else this.#unknownKey(path, key, keyNode, BUS_KEYS);
    }
    const name = texts.get('name');
    const url = texts.get('url');
    if (url === undefined && !node.items.some((pair) => isScalar(pair.key) && pair.key.value === 'url')) {
      this.#problem(path, written, 'expected a url; found none');
    }
    return { where, ...(name && { name }), ...(url && { url }) };
  }

  /** A list of texts becomes one text with commas, as flags and variables have it. */
  #readList(setting: Setting, written: Node | null, keyNode: Node): void {
    const node = this.#resolved(written);
    if (!isSeq(node)) {
      this.#readText(setting.path, expectedText(setting), written, keyNode, this.#texts);
      return;
    }
    const items: string[] = [];
    for (const item of node.items as (Node | null)[]) {
      const text = this.#resolved(item);
      if (isScalar(text) && text.value !== null) items.push(text.source ?? String(text.value));
      else this.#problem(setting.path, item, `expected ${expectedText(setting)}; found ${describe(text)}`);
    }
    const position = written ?? keyNode;
    this.#texts.set(setting.path, {
      text: items.join(','),
      where: this.#where(position),
      source: this.#source(position),
    });
  }

  #readText(
    key: string,
    expected: string,
    written: Node | null,
    keyNode: Node,
    texts: Map<string, FileText>,
    path = key,
  ): void {
    const node = this.#resolved(written);
    if (node !== null && !isScalar(node)) {
      this.#problem(path, written, `expected ${expected}; found ${describe(node)}`);
      return;
    }
    const position = written ?? keyNode;
    const text = node === null || node.value === null ? null : (node.source ?? String(node.value));
    texts.set(key, { text, where: this.#where(position), source: this.#source(position) });
  }

  /** The pairs of a mapping with keys of text; the others and repeated ones are told as problems. */
  *#entries(path: string, map: YAMLMap): Generator<{ key: string; keyNode: Node; value: Node | null }> {
    const lineOfKey = new Map<string, number>();
    for (const pair of map.items) {
      if (this.#problems.isFull) return;
      const keyNode = pair.key as Node;
      if (!isScalar(keyNode)) {
        this.#problem(path, keyNode ?? map, `expected a key of text; found ${describe(keyNode)}`);
        continue;
      }
      const key = keyNode.source ?? String(keyNode.value);
      const firstLine = lineOfKey.get(key);
      if (firstLine === undefined) {
        lineOfKey.set(key, this.#lines.linePos(offsetOf(keyNode)).line);
        yield { key, keyNode, value: pair.value as Node | null };
      } else {
        const keyPath = path === '' ? key : `${path}.${key}`;
        this.#problem(keyPath, keyNode, `expected each key once; found it in line ${firstLine} too`);
      }
    }
  }

  #unknownKey(section: string, key: string, keyNode: Node, keys: readonly string[]): void {
    const elsewhere = this.#settings.find(({ path }) => path.endsWith(`.${key}`))?.path;
    const hint =
      key.length > KEY_CHARS_MAX
        ? ''
        : didYouMean(key, keys) || (elsewhere === undefined ? '' : `; did you mean "${elsewhere}"?`);
    this.#problem(section, keyNode, `unknown key: expected ${keys.join(', ')}; found ${found(key)}${hint}`);
  }

  #resolved(node: Node | null): Node | null {
    if (!isAlias(node)) return node;
    const target = node.resolve(this.#document) ?? null;
    if (target === null) {
      this.#problem('', node, `expected the name of an anchor above; found ${found(`*${node.source}`)}`);
    }
    return target;
  }

  #problem(path: string, position: Node | number | null, message: string): void {
    this.#problems.add(path, this.#where(position), message);
  }

  #where(position: Node | number | null): string {
    const { line, col } = this.#lines.linePos(typeof position === 'number' ? position : offsetOf(position));
    return `${this.#fileName}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  }

  #source(position: Node | null): string {
    return this.#where(position).replace(/:\d+$/, '');
  }
}

function offsetOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

function describe(node: Node | null): string {
  if (isMap(node)) return 'keys and values';
  if (isSeq(node)) return 'a list';
  return isScalar(node) && node.value !== null ? found(node.source ?? String(node.value)) : 'nothing';
}

function unreadable(error: unknown): string {
  return errorCode(error) === 'EACCES'
    ? 'expected a file that this user may read; found no permission'
    : `the file can't be read: ${errorMessage(error)}`;
}
