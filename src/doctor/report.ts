import { styleText } from 'node:util';
import type { Check, Outcome, Section } from './check.ts';

const MARKS: Readonly<Record<Outcome, string>> = { ok: '✓', warning: '!', problem: '✗' };
const COLOURS = { ok: 'green', warning: 'yellow', problem: 'red' } as const;

/** What is wrong, with a line for each check and one for each step that mends it. */
export function reportText(sections: readonly Section[], hasColours: boolean): string {
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    hasColours ? styleText(style, text, { validateStream: false }) : text;
  const checks = sections.flatMap((section) => section.checks);
  const nameWidth = Math.max(...checks.map(({ name }) => name.length));
  const lines: string[] = [];
  for (const { title, checks } of sections) {
    lines.push(paint('bold', title));
    for (const { name, outcome, found, expected, remedies } of checks) {
      const mark = paint(COLOURS[outcome], MARKS[outcome]);
      const what = expected === null ? found : `${found}; expected: ${expected}`;
      lines.push(`  ${mark} ${name.padEnd(nameWidth)}  ${what}`);
      for (const remedy of remedies) lines.push(`      - ${remedy}`);
    }
    lines.push('');
  }
  lines.push(summary(checks));
  return `${lines.join('\n')}\n`;
}

export function reportJson(sections: readonly Section[], version: string): string {
  const checks = sections.flatMap(({ title, checks }) =>
    checks.map((check) => ({ section: title, ...check })),
  );
  const report = {
    version,
    ok: isSound(sections),
    problems: count(checks, 'problem'),
    warnings: count(checks, 'warning'),
    checks,
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** Whether nothing is a problem. */
export function isSound(sections: readonly Section[]): boolean {
  return sections.every(({ checks }) => count(checks, 'problem') === 0);
}

function summary(checks: readonly Check[]): string {
  const plural = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
  const problems = count(checks, 'problem');
  const warnings = count(checks, 'warning');
  if (problems === 0 && warnings === 0) return 'All is well.';
  return `${plural(problems, 'problem')}, ${plural(warnings, 'warning')}.`;
}

function count(checks: readonly Check[], outcome: Outcome): number {
  return checks.filter((check) => check.outcome === outcome).length;
}
