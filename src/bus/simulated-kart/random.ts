/** Uniform numbers in [0, 1). */
export type Random = () => number;

/**
 * mulberry32: 32 bits of state and a few multiplications, good enough for noise and dice, and the same
 * numbers on every machine, which Math.random doesn't promise.
 */
export function seededRandom(seed: number, stream: number): Random {
  let state = (Math.imul(seed, 0x9e37_79b1) ^ Math.imul(stream + 1, 0x85eb_ca6b)) | 0;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** A number in (-amplitude, amplitude), zero the likeliest: two dice are near enough to a bell curve. */
export function noise(random: Random, amplitude: number): number {
  return (random() - random()) * amplitude;
}
