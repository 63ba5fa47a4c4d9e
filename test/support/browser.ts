import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { buildDashboard, dashboardState } from '../../scripts/dashboard.mjs';
import type { Cleanup } from './temporary-directory.ts';

export const CHROMIUM = '/usr/bin/chromium';
/** It asks nobody but us: no updates, no accounts, no guesses. */
export const CHROMIUM_ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1440, height: 900 };

/** What a console says while nothing answers, and where a token is asked for; a page can't keep it quiet. */
export const NO_ANSWER =
  /net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|CONNECTION_CLOSED|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)|WebSocket connection to .* failed/;
export const REFUSED = /the server responded with a status of 40[13]/;

export interface Browser {
  readonly context: BrowserContext;
  /** Opens a page whose faults are collected in `faults`. */
  open(url: string, size?: { width: number; height: number }): Promise<Page>;
  /** What no page may do: errors in the console, exceptions, requests that leave the host. */
  readonly faults: string[];
}

export interface BrowserOptions {
  /** Errors in the console that the test brings about. */
  readonly expects?: RegExp;
  readonly args?: readonly string[];
}

/** Starts Chromium with a profile of its own, and builds the dashboard if need be. */
export async function startBrowser(test: Cleanup, options: BrowserOptions = {}): Promise<Browser> {
  await builtDashboard();
  const profile = mkdtempSync(join(tmpdir(), 'chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: [...CHROMIUM_ARGS, ...(options.args ?? [])],
    viewport: DESKTOP,
    colorScheme: 'dark',
    acceptDownloads: true,
  });
  test.after(async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const faults: string[] = [];
  context.on('request', (request) => {
    const { protocol, hostname } = new URL(request.url());
    const isOurs = !['http:', 'https:', 'ws:', 'wss:'].includes(protocol) || hostname === '127.0.0.1';
    if (!isOurs) faults.push(`a request to ${request.url()}`);
  });
  return {
    context,
    faults,
    async open(url, size = DESKTOP) {
      const page = await context.newPage();
      page.on('console', (message) => {
        const text = message.text();
        if (message.type() !== 'error' || options.expects?.test(text)) return;
        faults.push(`console: ${text} (${message.location().url})`);
      });
      page.on('pageerror', (error) => faults.push(`exception: ${error.stack ?? error.message}`));
      await page.setViewportSize(size);
      await page.goto(url);
      return page;
    },
  };
}

/** Before a service is started, which serves the files that it finds then. */
export async function builtDashboard(): Promise<void> {
  if (dashboardState() !== 'built') await buildDashboard();
}
