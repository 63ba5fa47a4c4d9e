import { themeColor } from '../canvas.ts';
import type { PlotColumns } from './columns.ts';

export interface ExportedPane {
  readonly labels: readonly {
    readonly key: string;
    readonly text: string;
    readonly unit: string;
    readonly color: string;
  }[];
  readonly columns: PlotColumns;
  readonly canvas: HTMLCanvasElement;
}

/** What is shown, as rows: a time, a signal, and its value, or what the samples of a span come to. */
export function toCsv(
  panes: readonly Pick<ExportedPane, 'labels' | 'columns'>[],
  fromS: number,
  toS: number,
): string {
  const lines = ['timestamp,time,signal,unit,last,min,max'];
  for (const { labels, columns } of panes) {
    for (const [index, { key, unit }] of labels.entries()) {
      const { least, greatest, last } = columns.signals[index]!;
      for (const [at, timeS] of columns.times.entries()) {
        if (last[at] == null || timeS < fromS || timeS > toS) continue;
        const time = new Date(timeS * 1000).toISOString();
        const values = [last[at], least[at], greatest[at]].map((value) => Number(value!.toPrecision(12)));
        lines.push(`${timeS.toFixed(6)},${time},${key},${unit},${values.join(',')}`);
      }
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

const MARGIN = 24;
const TITLE_HEIGHT = 30;

/** The panes below each other, each under the names of its signals. */
export function toPng(panes: readonly ExportedPane[], title: string): Promise<Blob> {
  const ratio = devicePixelRatio;
  const [margin, titleHeight] = [MARGIN * ratio, TITLE_HEIGHT * ratio];
  const width = Math.max(...panes.map(({ canvas }) => canvas.width)) + 2 * margin;
  const height = panes.reduce(
    (sum, { canvas }) => sum + canvas.height + titleHeight,
    2 * margin + titleHeight,
  );
  const target = document.createElement('canvas');
  target.width = width;
  target.height = height;
  const context = target.getContext('2d')!;
  context.fillStyle = themeColor('panel');
  context.fillRect(0, 0, width, height);
  context.textBaseline = 'middle';
  const font = (size: number) => `600 ${size * ratio}px Inter, Roboto, system-ui, sans-serif`;
  context.font = font(15);
  context.fillStyle = themeColor('text');
  context.fillText(title, margin, margin);
  let top = margin + titleHeight;
  for (const { labels, canvas } of panes) {
    let left = margin;
    context.font = font(13);
    for (const { text, unit, color } of labels) {
      context.fillStyle = color;
      const label = unit === '' ? text : `${text} (${unit})`;
      context.fillText(label, left, top + titleHeight / 2);
      left += context.measureText(label).width + 18 * ratio;
    }
    context.drawImage(canvas, margin, top + titleHeight);
    top += titleHeight + canvas.height;
  }
  return new Promise((resolve, reject) => {
    target.toBlob((blob) => (blob === null ? reject(new Error('no PNG')) : resolve(blob)), 'image/png');
  });
}

export function download(content: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
