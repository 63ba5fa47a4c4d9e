import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { Scope } from '../src/api/security/scopes.ts';
import { newToken, storedToken } from '../src/api/security/token.ts';
import { changeTokenFile } from '../src/api/security/token-file.ts';
import { builtDashboard, REFUSED, startBrowser } from './support/browser.ts';
import { changes, seriousProblems, untilConnection, value } from './support/dashboard-page.ts';
import { eventually, startService } from './support/service.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const RPM = 'MOTORS/MOTOR_LEFT_REAR/RPM';
const FRONT_MODE = 'LIGHTS/FRONT/MODE';

await builtDashboard();
const directory = temporaryDirectory({ after });
const tokens = join(directory, 'tokens.json');
const addToken = (name: string, scopes: readonly Scope[]): string => {
  const text = newToken();
  changeTokenFile(tokens, (present) => [
    ...present,
    storedToken(text, { name, scopes, createdMs: Date.now(), expiresMs: null }),
  ]);
  return text;
};
const reader = addToken('reader', ['read']);
const driver = addToken('driver', ['read', 'command', 'admin']);
const service = await startService({
  args: [
    ...['--db', join(directory, 'collector.db'), '--port', '0', '--tokens', tokens],
    ...['--commands', 'on', '--anonymous', 'none'],
  ],
});
after(() => service.stop());
const browser = await startBrowser({ after }, { expects: REFUSED });

/** Opens the page as somebody who has given this token before. */
async function openAs(token: string, view: string): Promise<Page> {
  const page = await browser.open(service.url);
  await giveToken(page, token);
  await page.evaluate(`location.hash = ${JSON.stringify(`#/${view}`)}`);
  return page;
}

async function giveToken(page: Page, token: string): Promise<void> {
  await page.getByLabel('Token', { exact: true }).fill(token);
  await page.getByRole('button', { name: 'Use it' }).click();
  await untilConnection(page, 'Live');
}

const navigation = (page: Page) => page.getByRole('navigation').getByRole('link').allTextContents();

interface Entry {
  readonly command_id: string;
  readonly value_name: string;
  readonly outcome: string;
  readonly principal: string;
}

async function auditLog(): Promise<Entry[]> {
  const headers = { authorization: `Bearer ${driver}` };
  const response = await fetch(`${service.url}/api/commands`, { headers });
  return ((await response.json()) as { commands: Entry[] }).commands;
}

test('who needs a token is asked for it, and sees what it is for', async () => {
  const page = await browser.open(service.url);
  await page.getByText('This collector shows its data to those who have one.').waitFor();
  await giveToken(page, reader);
  await changes(value(page, RPM));
  assert.deepEqual(
    (await navigation(page)).filter((name) => /Commands/.test(name)),
    [],
  );
  // By a link one comes to it all the same, and is told.
  await page.evaluate("location.hash = '#/commands'");
  await page.getByText('Commands are sent for those who have a token').waitFor();
  await page.evaluate("location.hash = '#/system'");
  await page.getByText('are shown to those who run the collector').waitFor();
  assert.equal(await page.evaluate('localStorage.length'), 0);
  // Gone with the page, unless one says otherwise.
  await page.close();
});

test('who gives a wrong token is told so, and asked again', async () => {
  const page = await browser.open(service.url);
  await page.getByLabel('Token', { exact: true }).fill(newToken());
  await page.getByRole('button', { name: 'Use it' }).click();
  await page.getByText('is not accepted').waitFor();
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.getByRole('button', { name: 'Enter a token' }).click();
  await giveToken(page, reader);
  await page.close();
});

test('who runs the collector sees its configuration and its log', async () => {
  const page = await openAs(driver, 'system');
  await page.getByRole('cell', { name: 'api.anonymous' }).waitFor();
  await page.getByRole('region', { name: 'Lines of the log' }).getByText('listening').waitFor();
  await page.close();
});

test('a light is switched on at once, and shown', async () => {
  const page = await openAs(driver, 'commands');
  await page.getByRole('combobox', { name: 'Value' }).selectOption('ON');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page
    .getByRole('region', { name: 'Commands sent from here' })
    .getByText(/acknowledged: on sim/)
    .waitFor();
  await page
    .getByRole('region', { name: 'Audit log' })
    .getByRole('cell', { name: 'driver' })
    .first()
    .waitFor();
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await seriousProblems(page), [], colorScheme);
  }
  const [entry] = await auditLog();
  assert.deepEqual([entry!.command_id, entry!.value_name, entry!.outcome], ['MODE', 'ON', 'acknowledged']);
  await page.evaluate("location.hash = '#/signals?q=lights front mode'");
  await eventually(
    () => value(page, FRONT_MODE).textContent(),
    (text) => /On/.test(text ?? ''),
  );
  await page.close();
});

test('what may move the vehicle is asked twice', async () => {
  const page = await openAs(driver, 'commands');
  const before = (await auditLog()).length;
  await page.getByRole('combobox', { name: 'Type' }).selectOption('MOTORS');
  await page.getByRole('combobox', { name: 'Command' }).selectOption('DIRECTION');
  await page.getByRole('button', { name: 'Send …' }).click();
  const question = page.getByRole('alertdialog');
  await question.getByText('It may move the vehicle').waitFor();
  // What a key that is pressed by mistake does.
  await page.keyboard.press('Enter');
  await question.waitFor({ state: 'detached' });
  assert.equal((await auditLog()).length, before);
  await page.close();
});

test('the emergency stop asks once, and stops all motors', async () => {
  const page = await openAs(driver, 'commands');
  await page.getByRole('button', { name: 'Emergency stop' }).click();
  const question = page.getByRole('alertdialog', { name: 'Stop all motors now?' });
  await question.getByRole('button', { name: 'STOP' }).click();
  await page
    .getByRole('region', { name: 'Commands sent from here' })
    .getByText(/acknowledged/)
    .waitFor();
  const [entry] = await auditLog();
  assert.deepEqual([entry!.command_id, entry!.value_name, entry!.principal], ['EMERGENCY', 'STOP', 'driver']);
  await page.close();
});

test('the emergency stop is at hand in each view, and leads to what has become of it', async () => {
  const page = await openAs(driver, 'overview');
  const before = (await auditLog()).length;
  await page.getByRole('button', { name: 'Emergency stop' }).click();
  // What a key that is pressed by mistake does.
  await page.keyboard.press('Enter');
  await page.getByRole('alertdialog').waitFor({ state: 'detached' });
  assert.equal((await auditLog()).length, before);
  await page.getByRole('button', { name: 'Emergency stop' }).click();
  await page.getByRole('button', { name: 'STOP', exact: true }).click();
  await page
    .getByRole('region', { name: 'Commands sent from here' })
    .getByText(/acknowledged/)
    .waitFor();
  assert.equal((await auditLog()).length, before + 1);
  await page.close();
});

test('who may not command has no emergency stop', async () => {
  const page = await openAs(reader, 'overview');
  await changes(value(page, RPM));
  assert.equal(await page.getByRole('button', { name: 'Emergency stop' }).count(), 0);
  await page.close();
});

test('no page has had a fault', () => assert.deepEqual(browser.faults, []));
