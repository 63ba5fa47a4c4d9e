import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

/** What stands in the text that Prometheus scrapes. */
export interface Scrape {
  /** By the family's name: counter, gauge, histogram or summary. */
  readonly types: ReadonlyMap<string, string>;
  /** By name and labels, as they are written: `collector_bus_frames_total{bus="can0"}`. */
  readonly values: ReadonlyMap<string, number>;
}

/** Reads the text format; every line is one that it has. */
export function parseScrape(text: string): Scrape {
  const types = new Map<string, string>();
  const helps = new Set<string>();
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') helps.add(name!);
    else if (keyword === 'TYPE') types.set(name!, rest!);
    else if (line !== '') {
      const [, sample, value] = /^([a-z][a-z0-9_]*(?:\{[^{}]*\})?) (\S+)$/.exec(line) ?? [];
      assert.ok(sample !== undefined, `no line of the format: ${line}`);
      assert.ok(!values.has(sample), `twice: ${sample}`);
      const number = Number(value);
      assert.ok(Number.isFinite(number), line);
      values.set(sample, number);
    }
  }
  assert.deepEqual([...types.keys()].sort(), [...helps].sort());
  return { types, values };
}

/** The samples that only grow: those of counters, and what histograms and summaries count. */
export function growing({ types, values }: Scrape): Map<string, number> {
  const isGrowing = (sample: string) => {
    const name = sample.replace(/\{.*/, '');
    if (types.get(name) === 'counter') return true;
    const [, family] = /^(.+)_(?:bucket|sum|count)$/.exec(name) ?? [];
    return family !== undefined && ['histogram', 'summary'].includes(types.get(family) ?? '');
  };
  return new Map([...values].filter(([sample]) => isGrowing(sample)));
}

/** Why promtool can't be asked, for `skip`; false where it can. */
export const promtoolMissing =
  spawnSync('promtool', ['--version']).error !== undefined && 'missing: apt-get install prometheus';

/** What `promtool check ...` says to a text; fails unless it finds nothing wrong. */
export function promtoolCheck(what: readonly string[], input = ''): void {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', ...what], { input, encoding: 'utf8' });
  assert.equal(status, 0, `promtool check ${what.join(' ')}: ${stdout}${stderr}`);
}
