/**
 * Keeps the shell of the app, so that it opens at once and also while the collector restarts. Data is never kept:
 * what isn't the shell isn't touched.
 */

/** Names of all that is in assets/, which have hashes of their contents; scripts/dashboard.mjs writes them here. */
const ASSETS = [];
/** Another for each build, so that the files of one aren't mixed with those of another. */
const SHELL = `shell ${ASSETS.join(' ')}`;

self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(keepAll());
});
self.addEventListener('activate', (event) =>
  event.waitUntil(forgetOthers().then(() => self.clients.claim())),
);

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const scope = new URL(self.registration.scope);
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname))
    return;
  const path = url.pathname.slice(scope.pathname.length);
  if (path.startsWith('assets/')) event.respondWith(keptFirst(request));
  else if (path === '') event.respondWith(newestFirst(request));
});

async function keepAll() {
  const shell = await caches.open(SHELL);
  await shell.addAll(['./', './icon.svg', ...ASSETS.map((name) => `./assets/${name}`)]);
}

async function forgetOthers() {
  for (const name of await caches.keys()) if (name !== SHELL) await caches.delete(name);
}

async function keptFirst(request) {
  const shell = await caches.open(SHELL);
  return (await shell.match(request)) ?? fetch(request);
}

/** What is kept is of this build, and so is what it names; another build comes with another worker. */
async function newestFirst(request) {
  try {
    const response = await fetch(request);
    if (response.ok) return response;
    return (await kept()) ?? response;
  } catch (error) {
    const shell = await kept();
    if (shell !== undefined) return shell;
    throw error;
  }
}

async function kept() {
  return (await caches.open(SHELL)).match('./');
}
