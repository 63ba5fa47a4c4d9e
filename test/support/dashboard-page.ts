import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Locator, Page } from 'playwright-core';
import { eventually } from './service.ts';

/** What tests ask of a page of the dashboard. */

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const hash = (page: Page): Promise<string> => page.evaluate<string>('location.hash');

/** Where the value of a signal stands. */
export function value(page: Page, signal: string): Locator {
  return page.locator(`[data-signal="${signal}"]`).first();
}

/** Resolves when the header says so. */
export async function untilConnection(page: Page, said: 'Live' | 'Connection lost'): Promise<void> {
  await page.locator('header [role=status]').filter({ hasText: said }).waitFor();
}

/** The signals that are plotted. */
export function plotted(page: Page): Promise<(string | null)[]> {
  return page
    .locator('[data-pane] [data-signal]')
    .evaluateAll((found) => found.map((each) => each.getAttribute('data-signal')));
}

/** Resolves when the text of something is another than now. */
export async function changes(found: Locator): Promise<void> {
  const before = await found.textContent();
  await eventually(
    () => found.textContent(),
    (text) => text !== before,
  );
}

/** The rows of what is plotted, as it is exported, without the head. */
export async function exportedRows(page: Page): Promise<string[]> {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'CSV' }).click(),
  ]);
  return readFileSync((await download.path())!, 'utf8')
    .trim()
    .split('\r\n')
    .slice(1);
}

/** The times of those rows, in seconds since the epoch. */
export async function exportedTimes(page: Page): Promise<number[]> {
  return (await exportedRows(page)).map((row) => Number(row.split(',')[0]));
}

/** What keeps somebody from using what is shown now, as axe-core finds it. */
export async function seriousProblems(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<{
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  }>('axe.run(document, { resultTypes: ["violations"] })');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
    );
}
