import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { etagOf, sendTagged } from '../etag.ts';
import type { ApiInstance } from '../instance.ts';
import { text, UNCHANGED } from '../openapi/responses.ts';
import { pagePolicy } from '../security/response-headers.ts';

/** The page at `/`: the latest value of every signal, for a look with a browser. */
export function overviewRoutes(api: ApiInstance): void {
  const page = readFileSync(new URL('../overview.html', import.meta.url), 'utf8');
  const policy = pagePolicy({
    'connect-src': "'self'",
    'script-src': hashOf(page, 'script type="module"'),
    'style-src': hashOf(page, 'style'),
  });
  const etag = etagOf(page);
  const schema = {
    operationId: 'getOverview',
    summary: 'The latest value of every signal as a page',
    description: 'For a look with a browser.',
    tags: ['Service'],
    response: { 200: text('The page', 'text/html'), 304: UNCHANGED },
  };
  api.get('/', { schema, config: { scope: null } }, async (request, reply) => {
    reply.type('text/html; charset=utf-8').header('content-security-policy', policy);
    return sendTagged(request, reply, page, etag);
  });
}

/** Allows the page's own element and nothing that could get into it. */
function hashOf(page: string, tag: string): string {
  const start = page.indexOf(`<${tag}>`) + tag.length + 2;
  const text = page.slice(start, page.indexOf(`</${tag.split(' ')[0]}>`, start));
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
