import uPlot from 'uplot';
import { themeColor } from '../canvas.ts';
import { readableName } from '../names.ts';
import { DURATION_LEAST_S, formatBytes, formatDuration } from '../units.ts';
import type { PlotColumns } from './columns.ts';
import type { PlotEvent } from './events.ts';

/** Told apart also by those who see fewer colours; from the ninth on lines are dashed. */
const COLORS = {
  dark: ['#2fd3bb', '#ffb020', '#6aaeff', '#ff7a6b', '#c49bff', '#e7e06a', '#ff8fcf', '#b9c6d3'],
  light: ['#00796b', '#b06000', '#1763c4', '#bd2a1d', '#7b3fc4', '#7a7300', '#b8287e', '#51606e'],
};

export function seriesColor(index: number, isDark: boolean): string {
  const colors = isDark ? COLORS.dark : COLORS.light;
  return colors[index % colors.length]!;
}

export interface PaneSeries {
  readonly label: string;
  readonly unit: string;
  /** A named or true-or-false value stays as it is until it changes. */
  readonly isStepped: boolean;
  readonly valueNames: Readonly<Record<string, string>> | null;
}

export interface PaneOptions {
  readonly series: readonly PaneSeries[];
  readonly isDark: boolean;
  readonly syncKey: string;
  /** Room beside the plot, the same for all, so that a time is at the same place in each. */
  readonly leftPx: number;
  readonly rightPx: number;
  /** The span that is to be shown. */
  span(): readonly [fromS: number, toS: number];
  events(): readonly PlotEvent[];
  /** Called with where the cursor is, and the values there; null where it isn't over the plots. */
  onCursor(at: { timeS: number; values: readonly (number | null)[] } | null): void;
}

const NAME_CHARS_MAX = 11;
/** More marks than that are shown at the edge alone: lines would hide what is plotted. */
const MARK_LINES_MAX = 14;
const FONT_PX = 12;
const FONT_FAMILY = 'Inter, Roboto, system-ui, sans-serif';
/** Whole pixels: uPlot multiplies the digits before `px` by the screen's. */
const FONT = `600 ${FONT_PX}px ${FONT_FAMILY}`;
/** Of a letter of it, on average. */
const CHAR_PX = 7;
const KIND_COLORS = { gap: 'bad', bus: 'bad', change: 'data-2', command: 'warn' } as const;

/** One plot: axes, lines, what they are between in each span, and marks. It draws what it is given and knows no signal. */
export class PanePlot {
  readonly #options: PaneOptions;
  readonly #plot: uPlot;
  #columns: PlotColumns | null = null;

  constructor(element: HTMLElement, options: PaneOptions) {
    this.#options = options;
    this.#plot = new uPlot(this.#uPlotOptions(element), [[]], element);
  }

  get over(): HTMLElement {
    return this.#plot.over;
  }

  /** Time under a horizontal place within the plot. */
  timeAt(px: number): number {
    return this.#plot.posToVal(px, 'x');
  }

  get canvas(): HTMLCanvasElement {
    return this.#plot.ctx.canvas;
  }

  get widthPx(): number {
    return this.#plot.over.clientWidth;
  }

  setSize(width: number, height: number): void {
    this.#plot.setSize({ width, height });
  }

  draw(columns: PlotColumns): void {
    this.#columns = columns;
    const data = columns.signals.flatMap(({ least, greatest, last }) => [last, greatest, least]);
    this.#plot.setData([columns.times, ...data] as uPlot.AlignedData, true);
  }

  destroy(): void {
    this.#plot.destroy();
  }

  #uPlotOptions(element: HTMLElement): uPlot.Options {
    const { series, isDark, syncKey, leftPx, rightPx } = this.#options;
    const units = [...new Set(series.map(scaleOf))];
    const grid = { stroke: themeColor('line'), width: 1 };
    const axis = { stroke: themeColor('dim'), font: FONT, grid, ticks: { show: false }, gap: 4 };
    return {
      width: element.clientWidth || 300,
      height: element.clientHeight || 200,
      padding: [10, units.length > 1 ? 0 : rightPx, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: syncKey, setSeries: false },
        drag: { x: false, y: false },
        points: { size: 7 },
        focus: { prox: -1 },
      },
      scales: {
        x: { time: true, auto: false, range: () => [...this.#options.span()] as [number, number] },
        ...Object.fromEntries(
          units.map((unit) => {
            const isNamed = series.some((each) => scaleOf(each) === unit && each.valueNames !== null);
            return [unit, { auto: true, ...(isNamed && { range: rangeOfNames }) }];
          }),
        ),
      },
      axes: [
        { ...axis, size: 24, space: 96, values: timeTexts },
        ...units.map((scale, index) => {
          const named = series.find((each) => scaleOf(each) === scale && each.valueNames !== null);
          return {
            ...axis,
            scale,
            side: (index === 0 ? 3 : 1) as 1 | 3,
            show: index < 2,
            size: index === 0 ? leftPx : rightPx,
            space: 34,
            grid: index === 0 ? grid : { show: false },
            values: (_plot: uPlot, splits: number[]) => splits.map((split) => axisText(split, named, scale)),
            ...(named !== undefined && { incrs: [1, 2, 5, 10] }),
          };
        }),
      ],
      series: [
        {},
        ...series.flatMap((each, index) => this.#seriesOf(each, seriesColor(index, isDark), index)),
      ],
      bands: series.map((_each, index) => ({
        series: [3 * index + 2, 3 * index + 3] as [number, number],
        fill: `${seriesColor(index, isDark)}38`,
      })),
      hooks: {
        drawClear: [(plot) => this.#drawEvents(plot, true)],
        draw: [(plot) => this.#drawEvents(plot, false)],
        setCursor: [(plot) => this.#tellCursor(plot)],
      },
    };
  }

  #seriesOf(series: PaneSeries, color: string, index: number): uPlot.Series[] {
    const { stepped } = uPlot.paths;
    const paths = series.isStepped && stepped !== undefined ? { paths: stepped({ align: 1 }) } : {};
    const common = { scale: scaleOf(series), spanGaps: false, points: { show: false }, ...paths };
    const isOverEight = index >= COLORS.dark.length;
    return [
      {
        ...common,
        label: series.label,
        stroke: color,
        width: 1.6,
        ...(isOverEight && { dash: [6, 4] }),
        points: { show: () => this.#showsPoints(), size: 5 },
      },
      { ...common, label: `${series.label}, greatest` },
      { ...common, label: `${series.label}, least` },
    ];
  }

  /** Samples that stand apart are seen one by one. */
  #showsPoints(): boolean {
    const columns = this.#columns;
    return columns?.isSamples === true && columns.times.length < this.widthPx / 8;
  }

  #drawEvents(plot: uPlot, isBehind: boolean): void {
    const { ctx } = plot;
    const { left, top, width, height } = plot.bbox;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    const [spanFromS, spanToS] = this.#options.span();
    const shown = this.#options.events().filter(({ fromS, toS }) => toS >= spanFromS && fromS <= spanToS);
    const hasLines = shown.filter(({ kind }) => kind !== 'gap').length <= MARK_LINES_MAX;
    for (const { kind, fromS, toS, text } of shown) {
      const from = plot.valToPos(fromS, 'x', true);
      const to = plot.valToPos(toS, 'x', true);
      if (to < left || from > left + width) continue;
      const color = themeColor(KIND_COLORS[kind]);
      if (kind === 'gap' && isBehind) {
        ctx.fillStyle = `${color}26`;
        ctx.fillRect(from, top, Math.max(to - from, ratio), height);
        ctx.fillStyle = color;
        writeBetween(ctx, text, Math.max(from, left), Math.min(to, left + width), top + height / 2);
      } else if (kind !== 'gap' && !isBehind) {
        ctx.strokeStyle = `${color}aa`;
        ctx.lineWidth = ratio;
        ctx.setLineDash(kind === 'bus' ? [] : [3 * ratio, 4 * ratio]);
        ctx.beginPath();
        ctx.moveTo(from, top);
        ctx.lineTo(from, top + (hasLines || kind === 'bus' ? height : 0));
        ctx.stroke();
        ctx.fillStyle = color;
        ctx.beginPath();
        ctx.moveTo(from - 4 * ratio, top);
        ctx.lineTo(from + 4 * ratio, top);
        ctx.lineTo(from, top + 6 * ratio);
        ctx.fill();
      }
    }
    ctx.restore();
  }

  #tellCursor(plot: uPlot): void {
    const { idx, left } = plot.cursor;
    if (idx == null || left == null || left < 0 || this.#columns === null) {
      this.#options.onCursor(null);
      return;
    }
    const values = this.#columns.signals.map(({ last }) => valueNear(last, idx));
    this.#options.onCursor({ timeS: plot.posToVal(left, 'x'), values });
  }
}

/** In the middle, where there is room. */
function writeBetween(
  ctx: CanvasRenderingContext2D,
  text: string,
  left: number,
  right: number,
  middle: number,
): void {
  ctx.font = `600 ${FONT_PX * devicePixelRatio}px ${FONT_FAMILY}`;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  if (ctx.measureText(text).width < right - left) ctx.fillText(text, (left + right) / 2, middle);
}

/** The value there, or that which the line goes on from. */
function valueNear(column: readonly (number | null | undefined)[], at: number): number | null {
  for (let each = at; each >= 0; each--) {
    const value = column[each];
    if (value !== undefined) return value;
  }
  return null;
}

/** Values of one unit share a scale; names share none with numbers. */
function scaleOf({ unit, valueNames, label }: PaneSeries): string {
  return valueNames === null ? `y ${unit}` : `y ${label}`;
}

/** A line of names has room above and below it, also where it is the only one. */
function rangeOfNames(_plot: uPlot, least: number | null, greatest: number | null): uPlot.Range.MinMax {
  if (least === null || greatest === null) return [0, 1];
  return [Math.floor(least) - 0.5, Math.ceil(greatest) + 0.5];
}

function axisText(value: number, named: PaneSeries | undefined, scale: string): string {
  if (named !== undefined) {
    const name = named.valueNames![String(value)];
    if (name === undefined) return '';
    const readable = readableName(name);
    return readable.length > NAME_CHARS_MAX ? `${readable.slice(0, NAME_CHARS_MAX - 1)}…` : readable;
  }
  if (scale === 'y B') return formatBytes(value).replace('-', '−');
  if (scale === 'y s' && value >= DURATION_LEAST_S) return formatDuration(value);
  return Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-4)
    ? value.toExponential(1)
    : String(Number(value.toPrecision(8))).replace('-', '−');
}

/** As short as tells them apart, in the time zone of who looks; the date where a day begins. */
function timeTexts(plot: uPlot, splits: readonly number[]): string[] {
  const stepS = splits.length > 1 ? splits[1]! - splits[0]! : 60;
  const format = stepS < 1 ? WITH_FRACTION : stepS < 60 ? WITH_SECONDS : WITH_MINUTES;
  return splits.map((split) => {
    const date = new Date(split * 1000);
    const isMidnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
    const text =
      isMidnight && stepS >= 60 ? (stepS >= MONTH_LEAST_S ? MONTH : DAY).format(date) : format.format(date);
    // None at all rather than half of one at the edge.
    const endPx = plot.bbox.left / devicePixelRatio + plot.valToPos(split, 'x') + (text.length * CHAR_PX) / 2;
    return endPx > plot.width ? '' : text;
  });
}

const WITH_MINUTES = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const WITH_SECONDS = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const WITH_FRACTION = new Intl.DateTimeFormat(undefined, {
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});
const DAY = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });
const MONTH = new Intl.DateTimeFormat(undefined, { month: 'short', year: 'numeric' });
const MONTH_LEAST_S = 27 * 86_400;
