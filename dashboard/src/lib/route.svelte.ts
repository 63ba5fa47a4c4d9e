/** Where one is, from the hash of the URL: `#/plots?s=...`. A link opens the same view again. */

export const VIEWS = ['overview', 'signals', 'plots', 'bus', 'commands', 'system'] as const;
export type View = (typeof VIEWS)[number];

class Route {
  view = $state<View>('overview');
  query = $state('');
  /** What each view showed last: one comes back to it as it was. */
  last = $state.raw<Partial<Record<View, string>>>({});
  /** Where the page was opened: on a screen without menus it is the one to come back to. */
  readonly home: string;

  constructor() {
    addEventListener('hashchange', () => this.#read());
    this.#read();
    this.home = hrefOf(this.view, this.query);
  }

  get parameters(): URLSearchParams {
    return new URLSearchParams(this.query);
  }

  /** Changes the state of a view that is shown, without a step in the browser's history. */
  replace(view: View, parameters: URLSearchParams): void {
    const query = readable(parameters);
    if (view !== this.view || query === this.query) return;
    this.query = query;
    this.last = { ...this.last, [this.view]: query };
    history.replaceState(null, '', hrefOf(this.view, query));
  }

  go(view: View, parameters = new URLSearchParams()): void {
    location.hash = this.hrefTo(view, parameters);
  }

  hrefTo(view: View, parameters: URLSearchParams): string {
    return hrefOf(view, readable(parameters));
  }

  #read(): void {
    const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
    const view = VIEWS.find((each) => each === path);
    this.view = view ?? 'overview';
    this.query = query;
    this.last = { ...this.last, [this.view]: query };
  }
}

export function hrefOf(view: View, query = ''): string {
  return `#/${view}${query === '' ? '' : `?${query}`}`;
}

/** Slashes and commas need no escape in a hash, and signals have them. */
function readable(parameters: URLSearchParams): string {
  return parameters.toString().replaceAll('%2F', '/').replaceAll('%2C', ',').replaceAll('%7C', '|');
}

/** For the screen of the Pi: nothing but the view. */
export const isKiosk = new URLSearchParams(location.search).has('kiosk');

export const route = new Route();
