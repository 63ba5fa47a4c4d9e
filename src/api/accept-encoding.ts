import { weightsOf } from './weights.ts';

/** What answers can be compressed with, the better first: zstd is smaller and quicker than gzip on every answer of ours. */
export const ENCODINGS = ['zstd', 'gzip'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/**
 * The encoding that a client likes best of those we have, by its Accept-Encoding (RFC 9110, section 12.5.3); null for
 * none, which is also what a client gets that says nothing: it might not know of compression.
 */
export function encodingOf(acceptEncoding: string | undefined): Encoding | null {
  if (acceptEncoding === undefined) return null;
  // Its name of long ago (RFC 9110, section 8.4.1.3).
  const weights = weightsOf(acceptEncoding.replace(/\bx-gzip\b/gi, 'gzip'));
  const any = weights.get('*') ?? 0;
  let best: Encoding | null = null;
  // What isn't compressed is always allowed, but last, unless the client gives it a weight.
  let bestWeight = weights.get('identity') ?? 0;
  for (const encoding of ENCODINGS) {
    const weight = weights.get(encoding) ?? any;
    // Of equal ones the first; and any of ours goes before identity.
    if (weight > 0 && (weight > bestWeight || (best === null && weight === bestWeight))) {
      best = encoding;
      bestWeight = weight;
    }
  }
  return best;
}
