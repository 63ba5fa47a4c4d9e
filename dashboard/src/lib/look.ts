import { preferences } from './preferences.svelte.ts';
import { session } from './session.svelte.ts';
import { ticks } from './ticks.svelte.ts';
import { formatShown, formatValue, shownUnit } from './units.ts';

/** Looks at a signal from a template: each of these is asked again when there may be another answer. */

/** For what is drawn: at most once a frame. */
export function numberNow(key: string | null): number {
  ticks.frame;
  return valueIn(key);
}

export function numberOf(key: string | null): number {
  ticks.text;
  return valueIn(key);
}

function valueIn(key: string | null): number {
  return key === null ? Number.NaN : (session.store.get(key)?.value ?? Number.NaN);
}

export function nameOf(key: string | null): string | null {
  ticks.text;
  return key === null ? null : (session.store.get(key)?.valueName ?? null);
}

/** The value as people read it: its name, or the number in the unit that they chose, without it. */
export function textOf(key: string | null, digits?: number): string {
  ticks.text;
  const signal = key === null ? undefined : session.store.get(key);
  if (signal === undefined) return '–';
  if (signal.valueName !== null) return signal.valueName;
  if (signal.valueType === 'BOOLEAN') return signal.rawValue === 0 ? 'no' : 'yes';
  const shown = shownUnit(signal.unit, preferences);
  return formatValue(signal.value, digits === undefined ? shown : { ...shown, digits });
}

/** The same with its unit, where bytes and long times are in the units that fit. */
export function shownOf(key: string): { readonly text: string; readonly unit: string } {
  const text = textOf(key);
  const signal = session.store.get(key);
  if (signal === undefined || signal.valueName !== null || signal.valueType === 'BOOLEAN')
    return { text, unit: '' };
  return formatShown(signal.value, shownUnit(signal.unit, preferences));
}

export function unitOf(key: string | null): string {
  session.structure;
  const signal = key === null ? undefined : session.store.get(key);
  return shownUnit(signal?.unit ?? null, preferences).unit;
}

export function isStale(key: string | null): boolean {
  ticks.slow;
  const signal = key === null ? undefined : session.store.get(key);
  return signal === undefined || signal.isStale(ticks.nowMs);
}
