/** TypeScript knows no .svelte files: logic is in .ts, components are thin. */
declare module '*.svelte' {
  import type { Component } from 'svelte';

  const component: Component<Record<string, unknown>>;
  // biome-ignore lint/style/noDefaultExport: that is how Svelte's compiler gives a component.
  export default component;
}
