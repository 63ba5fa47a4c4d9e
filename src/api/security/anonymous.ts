import type { ANONYMOUS_RIGHTS } from '../../config/schema.ts';
import type { Scope } from './scopes.ts';

/** What those without a token are called; no token may be. */
export const ANONYMOUS_NAME = 'anonymous';

/**
 * What may be done without a token. Whoever is on the machine could as well read the database; on a network exports cost more than
 * anybody should be able to ask for.
 */
export function anonymousScopes(
  rights: (typeof ANONYMOUS_RIGHTS)[number],
  isLocal: boolean,
): ReadonlySet<Scope> {
  if (rights === 'none') return new Set();
  if (isLocal) return new Set(['read', 'export']);
  return new Set(rights === 'read' ? ['read'] : []);
}
