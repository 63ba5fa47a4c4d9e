/** Canvases as large as they are shown, in the colours of the theme. */

export interface Drawing {
  readonly context: CanvasRenderingContext2D;
  /** In CSS pixels. */
  readonly width: number;
  readonly height: number;
}

/** More pixels than that on a sharp screen cost more than anybody sees. */
const PIXEL_RATIO_MAX = 2;

/** Makes it as large as it is shown and empties it; null while it isn't shown. */
export function beginDrawing(canvas: HTMLCanvasElement): Drawing | null {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = canvas.getContext('2d');
  if (width === 0 || height === 0 || context === null) return null;
  const ratio = Math.min(devicePixelRatio, PIXEL_RATIO_MAX);
  const [pixelWidth, pixelHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== pixelWidth || canvas.height !== pixelHeight) {
    canvas.width = pixelWidth;
    canvas.height = pixelHeight;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** A colour of app.css as it is in this theme. */
export function themeColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** From slow to fast: told apart without red and green, and by lightness alone. */
const SPEED_COLORS: readonly (readonly [number, number, number])[] = [
  [59, 82, 196],
  [33, 145, 190],
  [53, 183, 121],
  [253, 201, 60],
];

export function speedColor(share: number): string {
  const place = Math.max(0, Math.min(0.9999, share)) * (SPEED_COLORS.length - 1);
  const at = Math.floor(place);
  const part = place - at;
  const [from, to] = [SPEED_COLORS[at]!, SPEED_COLORS[at + 1]!];
  const mixed = from.map((each, index) => Math.round(each + (to[index]! - each) * part));
  return `rgb(${mixed.join(' ')})`;
}
