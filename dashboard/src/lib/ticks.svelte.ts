import { SLOW_INTERVAL_MS, TEXT_INTERVAL_MS } from './limits.ts';

/**
 * What makes views look again. Data comes as it comes; the page changes once a frame at most, texts less often. So a
 * sample costs a few numbers written, however many come.
 */
class Ticks {
  /** For what moves: once a frame while samples come. */
  frame = $state(0);
  /** For texts. */
  text = $state(0);
  /** Each second, samples or not: ages, what is stale. */
  slow = $state(0);
  /** performance.now() of the last tick. */
  nowMs = performance.now();

  readonly #drawers = new Set<(nowMs: number) => void>();
  #isAsked = false;
  #textMs = 0;
  #textTimer = 0;

  constructor() {
    setInterval(() => {
      this.nowMs = performance.now();
      this.slow++;
      this.invalidate();
    }, SLOW_INTERVAL_MS);
  }

  /** Something has changed: look again in the next frame. */
  invalidate(): void {
    if (this.#isAsked || document.hidden) return;
    this.#isAsked = true;
    requestAnimationFrame(() => this.#run());
  }

  /** Is called in each frame in which there may be something to draw; returns what ends that. */
  onFrame(draw: (nowMs: number) => void): () => void {
    this.#drawers.add(draw);
    this.invalidate();
    return () => this.#drawers.delete(draw);
  }

  #run(): void {
    this.#isAsked = false;
    this.nowMs = performance.now();
    this.frame++;
    if (this.nowMs - this.#textMs >= TEXT_INTERVAL_MS) this.#tickText();
    else if (this.#textTimer === 0) {
      // What came last is shown, also when nothing comes after it.
      this.#textTimer = window.setTimeout(() => this.invalidate(), TEXT_INTERVAL_MS);
    }
    for (const draw of this.#drawers) draw(this.nowMs);
  }

  #tickText(): void {
    clearTimeout(this.#textTimer);
    this.#textTimer = 0;
    this.#textMs = this.nowMs;
    this.text++;
  }
}

export const ticks = new Ticks();
