/** Where the vehicle has been: positions in metres from the first, the newest at the end. */

const METRES_PER_DEGREE = 111_320;
/** Nothing drives that far between two positions: what is shown there would be no way. */
const JUMP_M = 30;

export class Trail {
  readonly #capacity: number;
  readonly east: Float64Array;
  readonly north: Float64Array;
  readonly speed: Float64Array;
  /** 1 where the way from the one before isn't known. */
  readonly isStart: Uint8Array;
  #length = 0;
  #origin: { latitude: number; longitude: number; metresPerDegreeEast: number } | null = null;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.east = new Float64Array(capacity);
    this.north = new Float64Array(capacity);
    this.speed = new Float64Array(capacity);
    this.isStart = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
    this.#origin = null;
  }

  push(latitude: number, longitude: number, speed: number, isStart = false): void {
    if (!Number.isFinite(latitude) || !Number.isFinite(longitude)) return;
    // What a receiver without a fix tells.
    if (latitude === 0 && longitude === 0) return;
    this.#origin ??= {
      latitude,
      longitude,
      metresPerDegreeEast: METRES_PER_DEGREE * Math.cos((latitude * Math.PI) / 180),
    };
    if (this.#length === this.#capacity) this.#forgetOldest();
    this.east[this.#length] = (longitude - this.#origin.longitude) * this.#origin.metresPerDegreeEast;
    this.north[this.#length] = (latitude - this.#origin.latitude) * METRES_PER_DEGREE;
    this.speed[this.#length] = speed;
    const before = this.#length - 1;
    const isJump =
      before < 0 ||
      Math.hypot(
        this.east[this.#length]! - this.east[before]!,
        this.north[this.#length]! - this.north[before]!,
      ) > JUMP_M;
    this.isStart[this.#length] = isStart || isJump ? 1 : 0;
    this.#length++;
  }

  /** A quarter at a time, so that it is rarely done. */
  #forgetOldest(): void {
    const gone = Math.ceil(this.#capacity / 4);
    for (const column of [this.east, this.north, this.speed, this.isStart]) column.copyWithin(0, gone);
    this.#length -= gone;
    this.isStart[0] = 1;
  }

  bounds(): { west: number; east: number; south: number; north: number; fastest: number } {
    let [west, east, south, north, fastest] = [Infinity, -Infinity, Infinity, -Infinity, 0];
    for (let at = 0; at < this.#length; at++) {
      west = Math.min(west, this.east[at]!);
      east = Math.max(east, this.east[at]!);
      south = Math.min(south, this.north[at]!);
      north = Math.max(north, this.north[at]!);
      if (this.speed[at]! > fastest) fastest = this.speed[at]!;
    }
    return { west, east, south, north, fastest };
  }
}
