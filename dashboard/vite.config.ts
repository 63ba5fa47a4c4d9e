import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** Where a service listens that `npm run dev` passes requests on to. */
const SERVICE = 'http://127.0.0.1:5001';

// biome-ignore lint/style/noDefaultExport: Vite asks for it.
export default defineConfig({
  // Relative, so that it works behind a proxy that gives it a path of its own.
  base: './',
  plugins: [svelte({ configFile: false })],
  build: { target: 'es2022', modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  server: {
    proxy: {
      '/api': { target: SERVICE, ws: true },
      '/healthz': SERVICE,
      '/metrics': SERVICE,
      '/docs': SERVICE,
      '/openapi.json': SERVICE,
    },
  },
});
