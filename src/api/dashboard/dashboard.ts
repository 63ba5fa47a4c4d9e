import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import { etagOf, sendTagged } from '../etag.ts';
import type { ApiInstance } from '../instance.ts';
import { text, UNCHANGED } from '../openapi/responses.ts';
import { pagePolicy } from '../security/response-headers.ts';
import '../security/scopes.ts';

/** Where it is in the package, beside the built API; and where a checkout has it. */
const FOLDERS = ['../../dashboard', '../../../.cache/dashboard'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/** The page runs its own scripts and styles, and asks nobody but this service. A service worker goes by its own answer's. */
const POLICY = pagePolicy({
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self' data: blob:",
  'connect-src': "'self'",
  'manifest-src': "'self'",
  'worker-src': "'self'",
});

const INDEX = 'index.html';

/** Files here have a hash of what is in them in their names. */
const ASSETS = 'assets';
const YEAR_S = 365 * 24 * 60 * 60;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
};

/** Said at `/` where the dashboard hasn't been built. */
const NOT_BUILT = `telemetry-collector runs, but its dashboard isn't built.

In a checkout "npm start" builds it, which needs Vite:  npm ci --include=dev
then start again, or build it by hand:                  node scripts/dashboard.mjs

The API is here: /api/state/current, /api/state/history, /api/status, and described at /docs.
`;

const PUBLIC = { scope: null } as const;
const HIDDEN = { schema: { hide: true }, config: PUBLIC };

/** The web app at `/`: files that anybody may have, as there is no data in them. */
export function dashboardRoutes(api: ApiInstance, folder = FOLDERS.find((path) => existsSync(path))): void {
  const schema = {
    operationId: 'getDashboard',
    summary: 'The dashboard',
    description: 'A page for people with a browser: what the vehicle says, live and back in time.',
    tags: ['Service'],
    response: { 200: text('The page', 'text/html'), 304: UNCHANGED },
  };
  if (folder === undefined || !existsSync(folder)) {
    const options = { schema: { ...schema, response: {} }, config: PUBLIC };
    api.get('/', options, (_request, reply) =>
      reply.code(503).type('text/plain; charset=utf-8').send(NOT_BUILT),
    );
    return;
  }
  api.register(fastifyStatic, {
    root: join(folder, ASSETS),
    // The routes are ours, so that each says who may ask.
    serve: false,
    preCompressed: true,
    cacheControl: false,
    etag: false,
    lastModified: false,
  });
  for (const name of filesIn(folder)) keptFile(api, folder, name, name === INDEX ? schema : null);
  for (const name of filesIn(join(folder, ASSETS)).filter((each) => !/\.(br|gz)$/.test(each))) {
    api.get(`/${ASSETS}/${name}`, HIDDEN, (_request, reply) =>
      reply.header('cache-control', `public, max-age=${YEAR_S}, immutable`).sendFile(name),
    );
  }
}

/**
 * A small file that browsers ask for each time. Its content is what names it to them: its time is the same in every version of
 * the package.
 */
function keptFile(api: ApiInstance, folder: string, name: string, schema: object | null): void {
  const type = TYPES[extname(name)];
  if (type === undefined) return;
  const content = readFileSync(join(folder, name));
  const etag = etagOf(content);
  const options = schema === null ? HIDDEN : { schema, config: PUBLIC };
  api.get(name === INDEX ? '/' : `/${name}`, options, async (request, reply) => {
    reply.type(type).header('content-security-policy', POLICY);
    return sendTagged(request, reply, content, etag);
  });
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [entry.name] : [],
  );
}
