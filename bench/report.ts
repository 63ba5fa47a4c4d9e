/** What the benchmarks print: ours beside the reference's, and whether that is what is wanted. */

export interface Figure {
  readonly what: string;
  /** Null where it can't be measured yet. */
  readonly ours: number | null;
  /** Null for a figure that stands alone. */
  readonly reference: number | null;
  /** Ours by the reference's, where that is more than the quotient of the two printed: a median of rounds. */
  readonly ratio?: number;
  readonly digits: number;
  readonly wanted?: Wanted;
}

/** All that are given must hold. */
export interface Wanted {
  readonly oursAtMost?: number;
  readonly oursAtLeast?: number;
  readonly ratioAtMost?: number;
  readonly ratioAtLeast?: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Prints a table; a wanted figure that isn't met makes the exit code 1, and so does one that is missing. */
export function report(title: string, referenceName: string, figures: readonly Figure[]): void {
  const width = Math.max(...figures.map(({ what }) => what.length));
  const lines = figures.map((figure) => {
    const { what, ours, reference, digits, wanted } = figure;
    const cells = [
      what.padEnd(width),
      (ours === null ? 'not there yet' : number(ours, digits)).padStart(14),
      (reference === null ? '-' : number(reference, digits)).padStart(18),
      ratioText(ratioOf(figure)).padStart(8),
      wanted === undefined ? '' : verdict(figure, wanted),
    ];
    return `  ${cells.join(' ')}`.trimEnd();
  });
  const head = `  ${''.padEnd(width)} ${'collector'.padStart(14)} ${referenceName.padStart(18)} ${'ratio'.padStart(8)}`;
  process.stdout.write(`${[title, head, ...lines, ''].join('\n')}\n`);
  if (figures.some((figure) => figure.wanted !== undefined && !isMet(figure, figure.wanted))) {
    process.exitCode = 1;
  }
}

function ratioOf({ ours, reference, ratio }: Figure): number | null {
  if (ratio !== undefined) return ratio;
  return ours === null || reference === null ? null : ours / reference;
}

function isMet(figure: Figure, { oursAtMost, oursAtLeast, ratioAtMost, ratioAtLeast }: Wanted): boolean {
  const { ours } = figure;
  const ratio = ratioOf(figure);
  return (
    ours !== null &&
    (oursAtMost === undefined || ours <= oursAtMost) &&
    (oursAtLeast === undefined || ours >= oursAtLeast) &&
    (ratioAtMost === undefined || (ratio !== null && ratio <= ratioAtMost)) &&
    (ratioAtLeast === undefined || (ratio !== null && ratio >= ratioAtLeast))
  );
}

function verdict(figure: Figure, wanted: Wanted): string {
  const { oursAtMost, oursAtLeast, ratioAtMost, ratioAtLeast } = wanted;
  const conditions = [
    oursAtMost === undefined ? [] : [`at most ${oursAtMost}`],
    oursAtLeast === undefined ? [] : [`at least ${oursAtLeast}`],
    ratioAtMost === undefined ? [] : [`ratio at most ${bound(ratioAtMost)}`],
    ratioAtLeast === undefined ? [] : [`ratio at least ${bound(ratioAtLeast)}`],
  ].flat();
  return ` wanted ${conditions.join(', ')}: ${isMet(figure, wanted) ? 'met' : 'NOT met'}`;
}

/** A ratio below 1 as a fraction, which is how one speaks of it. */
function ratioText(ratio: number | null): string {
  // Nothing by nothing is no ratio.
  if (ratio === null || Number.isNaN(ratio)) return '-';
  return ratio >= 1 || ratio <= 0 ? ratio.toFixed(2) : `1/${(1 / ratio).toFixed(1)}`;
}

function bound(ratio: number): string {
  const divisor = Math.round(1 / ratio);
  return divisor > 1 ? `1/${divisor}` : String(ratio);
}

function number(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
