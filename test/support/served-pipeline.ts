import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { type Static, type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import { ErrorSchema } from '../../src/api/schemas.ts';
import { ApiSecurity } from '../../src/api/security/api-security.ts';
import { type ApiServer, createServer } from '../../src/api/server.ts';
import type { ApiSources } from '../../src/api/sources.ts';
import { effectiveSettings, loadConfig } from '../../src/config/load-config.ts';
import { type Pipeline, startPipeline } from '../../src/pipeline/pipeline.ts';
import { statusReporter } from '../../src/status.ts';
import { VERSION } from '../../src/version.ts';
import { type Cleanup, temporaryDirectory } from './temporary-directory.ts';

const silent = pino({ enabled: false });

/** The whole service but for its command line, which has read a log to its end. */
export interface ServedPipeline {
  readonly pipeline: Pipeline;
  readonly sources: ApiSources;
  readonly server: ApiServer;
  readonly url: string;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  /** A reply that has to be 200 and of this schema. */
  getAs<S extends TSchema>(schema: S, path: string): Promise<Static<S>>;
  /** A refusal: its status, and what it says. */
  refusal(path: string): Promise<Static<typeof ErrorSchema>>;
}

/** A line of a log as candump -l writes it; `data` in hexadecimal, with spaces as one likes. */
export function logLine(timestampUs: number, canId: number, data: string, channel = 'can0'): string {
  const seconds = Math.floor(timestampUs / 1_000_000);
  const microseconds = String(timestampUs % 1_000_000).padStart(6, '0');
  const id = canId.toString(16).toUpperCase().padStart(3, '0');
  return `(${seconds}.${microseconds}) ${channel} ${id}#${data.replaceAll(' ', '')}\n`;
}

/** Serves what the lines of a log say, on a bus that is called as the log, and with it the other buses, by their URLs. */
export async function servePipeline(
  test: Cleanup,
  log: string,
  otherBuses: readonly string[] = [],
  logName = 'drive',
): Promise<ServedPipeline> {
  const directory = temporaryDirectory(test);
  writeFileSync(join(directory, `${logName}.log`), log);
  const loaded = loadConfig({
    flags: {
      bus: [`candump:${logName}.log?speed=max`, ...otherBuses],
      db: 'collector.db',
      'max-age': 'unlimited',
    },
    env: {},
    cwd: directory,
  });
  const { config } = loaded;
  const pipeline = await startPipeline(config, silent);
  if (otherBuses.length === 0) await pipeline.ended;
  await pipeline.history.flush();

  const { registry, state, feed, history } = pipeline;
  const isSimulated = pipeline.sources.some(({ bus }) => bus.isSimulated);
  const security = new ApiSecurity(config.api, silent);
  const status = statusReporter(config, pipeline);
  const sources: ApiSources = {
    version: VERSION,
    registry,
    state,
    feed,
    history,
    status,
    isSimulated,
    commands: null,
    security,
    log: silent,
    settings: effectiveSettings(loaded),
    logFile: null,
  };
  const server = createServer(sources);
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  test.after(async () => {
    security.close();
    await server.close();
    await pipeline.stop();
  });

  const get = (path: string, headers = {}) => fetch(`${url}${path}`, { headers });
  return {
    pipeline,
    sources,
    server,
    url,
    get,
    async getAs(schema, path) {
      const response = await get(path);
      const reply = await response.json();
      assert.equal(response.status, 200, JSON.stringify(reply));
      assertIs(schema, reply);
      return reply;
    },
    async refusal(path) {
      const response = await get(path);
      const reply = await response.json();
      assertIs(ErrorSchema, reply);
      assert.equal(response.status, reply.statusCode);
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
      return reply;
    },
  };
}

/** Checks a reply against its schema, in which nothing is left out and nothing else stands. */
export function assertIs<S extends TSchema>(schema: S, reply: unknown): asserts reply is Static<S> {
  const closed = closedObjects(schema);
  const errors = Value.Errors(closed, reply).map(({ instancePath, message }) => `${instancePath} ${message}`);
  assert.deepEqual(errors, []);
}

/** The same schema, but objects may have no properties beyond those it names. */
export function closedObjects(schema: TSchema): TSchema {
  const closed = JSON.parse(JSON.stringify(schema));
  closeObjects(closed);
  return Type.Unsafe(closed);
}

function closeObjects(schema: unknown): void {
  if (typeof schema !== 'object' || schema === null) return;
  if ('properties' in schema) Object.assign(schema, { additionalProperties: false });
  for (const part of Object.values(schema)) closeObjects(part);
}
