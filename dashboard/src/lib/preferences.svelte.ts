/** What people choose for this device. */

export type Theme = 'system' | 'light' | 'dark';
export type SpeedUnit = 'km/h' | 'mph';
export type TemperatureUnit = '°C' | '°F';

const KEY = 'collector.preferences';

interface Stored {
  theme: Theme;
  speed: SpeedUnit;
  temperature: TemperatureUnit;
}

const DEFAULTS: Stored = { theme: 'system', speed: 'km/h', temperature: '°C' };

class Preferences {
  theme = $state<Theme>('system');
  speed = $state<SpeedUnit>('km/h');
  temperature = $state<TemperatureUnit>('°C');
  /** Whether the page is dark now; canvases are drawn anew when it changes. */
  isDark = $state(true);

  readonly #systemIsDark = matchMedia('(prefers-color-scheme: dark)');

  constructor() {
    Object.assign(this, { ...DEFAULTS, ...stored() });
    this.#systemIsDark.addEventListener('change', () => this.#apply());
    this.#apply();
  }

  change(changes: Partial<Stored>): void {
    Object.assign(this, changes);
    const { theme, speed, temperature } = this;
    localStorage.setItem(KEY, JSON.stringify({ theme, speed, temperature }));
    this.#apply();
  }

  #apply(): void {
    this.isDark = this.theme === 'system' ? this.#systemIsDark.matches : this.theme === 'dark';
    document.documentElement.dataset.theme = this.isDark ? 'dark' : 'light';
  }
}

/** Only what is one of the choices: what is stored may be from another version. */
function stored(): Partial<Stored> {
  try {
    const { theme, speed, temperature } = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Stored>;
    return {
      ...(theme !== undefined && ['system', 'light', 'dark'].includes(theme) && { theme }),
      ...(speed !== undefined && ['km/h', 'mph'].includes(speed) && { speed }),
      ...(temperature !== undefined && ['°C', '°F'].includes(temperature) && { temperature }),
    };
  } catch {
    return {};
  }
}

export const preferences = new Preferences();
