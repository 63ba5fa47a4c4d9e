/** What the dashboard keeps at most, how often it does things, and from where on it warns. */

/** Samples of a plotted signal: a quarter of an hour at 20 Hz; what is older is asked of the history. 0.3 MB each. */
export const TRACK_SAMPLES_MAX = 20_000;
/** Values behind a sparkline, and how far apart they are at least. */
export const SPARK_VALUES = 48;
export const SPARK_INTERVAL_S = 0.5;

/** How often texts change at most: people don't read faster, and each change costs a layout. */
export const TEXT_INTERVAL_MS = 100;
/** How often ages and staleness are looked at. */
export const SLOW_INTERVAL_MS = 1000;

/** Samples of a signal that come at most, by the second: as often as the fastest of them are shown. Plots have them all. */
export const LIVE_HZ_MAX = 20;

/** How often the state is asked for where there is no stream; with one, for rates and what is stale. */
export const POLL_INTERVAL_MS = 200;
export const STATE_INTERVAL_MS = 1000;
export const STATUS_INTERVAL_MS = 2000;
/** A poll may take this share of the time: ten thousand signals are asked for less often. */
export const POLL_BUSY_SHARE = 0.25;
export const RETRY_FIRST_MS = 250;
export const RETRY_LONGEST_MS = 3000;
/** Who is refused is asked for a token, and tries again with it at once: until then it would only fill the collector's log. */
export const RETRY_REFUSED_MS = 15_000;
export const REQUEST_TIMEOUT_MS = 8000;

/** A signal is stale when silent for three of its usual intervals, and a second at least: as on the API. */
export const STALE_INTERVALS = 3;
export const STALE_LEAST_S = 1;

/** Degrees Celsius from which on a temperature is worth a warning, and a fault. */
export const TEMPERATURES_C: readonly {
  readonly what: RegExp;
  readonly warn: number;
  readonly fault: number;
}[] = [
  { what: /^BATTERIES\//, warn: 50, fault: 60 },
  { what: /^MOTORS\//, warn: 85, fault: 105 },
  { what: /^SYSTEM_MONITOR\//, warn: 75, fault: 85 },
  { what: /./, warn: 85, fault: 105 },
];
/** What an ERROR message said is shown for this long after it came. */
export const ERROR_SHOWN_S = 60;
/** A gap that ended is shown for this long. */
export const GAP_SHOWN_S = 120;
export const DISK_FREE_SHARE_LEAST = 0.05;
export const HOST_TEMPERATURE_WARN_C = 80;

/** Components that the overview shows beside its pictures, and signals of each: a glance, not all of ten thousand. */
export const CARDS_MAX = 60;
export const CARD_SIGNALS_MAX = 16;

/** What /api/series takes at most. */
export const SERIES_SIGNALS_MAX = 64;
/** What a page of /api/state/history has at most. */
export const HISTORY_PAGE_MAX = 10_000;
export const PLOT_PANES_MAX = 12;
export const PLOT_SIGNALS_PER_PANE_MAX = 8;
/** Frames that the trace of the bus keeps. */
export const TRACE_ROWS_MAX = 2000;

/** The load of a bus is drawn over so long a time, and what of it the history is asked for is told in so many points. */
export const LOAD_SPAN_S = 600;
export const LOAD_PAST_POINTS = 300;
/** Its points are no closer than that, and as many are kept as are drawn then, and a few. */
export const LOAD_STEP_S = 0.5;
export const LOAD_POINTS_MAX = 1300;
/** Where it is recorded less often than that the status tells more. */
export const LOAD_INTERVAL_MAX_S = 60;
