import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';

mount(App, { target: document.querySelector('#app')! });

// Only where the browser trusts the page's origin: over https, or on the collector's own machine.
if ('serviceWorker' in navigator && import.meta.env.PROD) {
  navigator.serviceWorker.register(new URL('sw.js', document.baseURI)).catch(() => undefined);
}
