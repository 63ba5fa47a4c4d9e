import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Type } from 'typebox';
import { etagOf, sendTagged } from '../etag.ts';
import type { ApiInstance } from '../instance.ts';
import { documentOf } from './document.ts';
import { ETAG, json, text, UNCHANGED } from './responses.ts';

/**
 * The page that shows the document. Everything it loads comes from here, as a vehicle has no internet, and the policy holds
 * it to that: nothing inline, nothing from elsewhere.
 */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>telemetry-collector: HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The document that it shows is <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/docs.js"></script>
</body>
</html>
`;

/** Without validatorUrl it would ask a server on the internet what it thinks of the document. */
const SCRIPT = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  validatorUrl: null,
});
`;

const POLICY = [
  "default-src 'none'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "script-src 'self'",
  "style-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HTML = 'text/html; charset=utf-8';
const CSS = 'text/css; charset=utf-8';
const JAVASCRIPT = 'text/javascript; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';

const PUBLIC = { scope: null } as const;
const HIDDEN = { schema: { hide: true }, config: PUBLIC };

/** The document at /openapi.json, and the page that shows it at /docs. */
export function documentRoutes(api: ApiInstance): void {
  const documentSchema = {
    operationId: 'getOpenApi',
    summary: 'This document',
    description: 'OpenAPI 3.1, made from the schemas that check requests.',
    tags: ['Service'],
    response: {
      200: json('The document', Type.Record(Type.String(), Type.Unknown()), undefined, ETAG),
      304: UNCHANGED,
    },
  };
  let document: { readonly text: string; readonly etag: string } | null = null;
  api.get('/openapi.json', { schema: documentSchema, config: PUBLIC }, async (request, reply) => {
    if (document === null) {
      const json = JSON.stringify(documentOf(api));
      document = { text: json, etag: etagOf(json) };
    }
    return sendTagged(request, reply.type(JSON_TYPE), document.text, document.etag);
  });

  const pageSchema = {
    operationId: 'getDocs',
    summary: 'This document as a page',
    description: 'For people with a browser; it needs no internet.',
    tags: ['Service'],
    response: { 200: text('The page', 'text/html'), 304: UNCHANGED },
  };
  api.get('/docs', { schema: pageSchema, config: PUBLIC }, async (request, reply) =>
    sendTagged(request, reply.type(HTML).header('content-security-policy', POLICY), PAGE),
  );
  api.get('/docs/docs.js', HIDDEN, async (request, reply) =>
    sendTagged(request, reply.type(JAVASCRIPT), SCRIPT),
  );
  packageFile(api, 'swagger-ui.css', CSS);
  packageFile(api, 'swagger-ui-bundle.js', JAVASCRIPT);
}

/** A file of Swagger UI. It is read when it is asked for: megabytes that are rarely wanted, and never twice by one browser. */
function packageFile(api: ApiInstance, name: string, type: string): void {
  const path = fileURLToPath(new URL(`./static/${name}`, import.meta.resolve('@fastify/swagger-ui')));
  let etag: string | undefined;
  api.get(`/docs/${name}`, HIDDEN, async (request, reply) => {
    const content = await readFile(path);
    etag ??= etagOf(content);
    return sendTagged(request, reply.type(type), content, etag);
  });
}
