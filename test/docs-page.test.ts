import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { logLine, servePipeline } from './support/served-pipeline.ts';

const CHROMIUM = '/usr/bin/chromium';
/** Without what it does by itself on a network. */
const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

const { url } = await servePipeline({ after }, logLine(1_764_000_000_000_000, 2, '48 00 00 01 40 00 04 B0'));
const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is not there`;

describe('the page at /docs', { skip }, () => {
  let browser: Browser;
  let page: Page;
  /** What the page asked for, and what went wrong in it: a policy that was broken, say. */
  const requests: string[] = [];
  const troubles: string[] = [];

  before(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
    page = await browser.newPage();
    page.on('request', (request) => requests.push(request.url()));
    page.on('pageerror', (error) => troubles.push(error.message));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) troubles.push(message.text());
    });
    await page.goto(`${url}/docs`);
    await page.waitForSelector('.opblock');
  });
  after(() => browser?.close());

  test('shows every operation', async () => {
    const document = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: object };
    const shown = await page.locator('.opblock-summary-path').allInnerTexts();
    // It puts invisible spaces into paths, where they may be broken.
    const paths = shown.map((path) => path.replaceAll('\u200b', ''));
    assert.deepEqual(new Set(paths), new Set(Object.keys(document.paths)));
  });

  test('tries one out', async () => {
    const operation = page.locator('#operations-State-getComponentState');
    await operation.locator('.opblock-summary').click();
    await operation.locator('.try-out__btn').click();
    await operation.locator('.execute').click();
    const body = await operation.locator('.live-responses-table .highlight-code').first().innerText();
    assert.match(body, /"MOTOR_LEFT_REAR"/);
    assert.match(body, /1200/);
  });

  test('asks nobody but the service, and breaks no policy', () => {
    assert.ok(requests.length > 4);
    for (const request of requests)
      assert.ok(request.startsWith(url) || request.startsWith('data:'), request);
    assert.deepEqual(troubles, []);
  });
});
