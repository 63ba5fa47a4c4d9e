/** What answers can be compressed with, the better first: zstd is smaller and quicker than gzip on every answer of ours. */
export const ENCODINGS = ['zstd', 'gzip'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/**
 * The encoding that a client likes best of those we have, by its Accept-Encoding (RFC 9110, section 12.5.3); null for
 * none, which is also what a client gets that says nothing: it might not know of compression.
 */
export function encodingOf(acceptEncoding: string | undefined): Encoding | null {
  if (acceptEncoding === undefined) return null;
  const weights = weightsOf(acceptEncoding);
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

/** The weight of each coding, 0 to 1, in lower case. A weight that is none counts as 0: what isn't understood isn't used. */
function weightsOf(acceptEncoding: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const part of acceptEncoding.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim());
    const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const weight = q === undefined ? 1 : /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(q) ? Number(q) : 0;
    weights.set(name === 'x-gzip' ? 'gzip' : name, weight);
  }
  return weights;
}
