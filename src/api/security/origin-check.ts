/** Methods that change nothing, of which a web page of another origin can't read the answer unless it is allowed to. */
const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface OriginQuestion {
  readonly method: string;
  /** Whether it becomes a WebSocket, of which any page may read what comes. */
  readonly isUpgrade: boolean;
  readonly origin: string | undefined;
  readonly host: string | undefined;
  /** Of a preflight, by which a browser asks what a page may do. */
  readonly requestedMethod: string | undefined;
}

/**
 * Which web pages may do what a browser doesn't keep them from by itself. Browsers say in Origin which page a request comes
 * from; programs that aren't browsers say nothing, and are asked for nothing.
 */
export class OriginCheck {
  readonly #allowed: ReadonlySet<string>;

  constructor(allowed: readonly string[]) {
    this.#allowed = new Set(allowed);
  }

  allows({ method, isUpgrade, origin, host, requestedMethod }: OriginQuestion): boolean {
    if (origin === undefined) return true;
    if (READING_METHODS.has(method) && !isUpgrade && requestedMethod === undefined) return true;
    return this.#allowed.has(origin) || isSameOrigin(origin, host);
  }
}

/**
 * Compared by name and port. The scheme isn't: behind a proxy that speaks HTTPS ours is another. `null`, the origin of files and
 * of sandboxed frames, is nobody's.
 */
function isSameOrigin(origin: string, host: string | undefined): boolean {
  const url = /^https?:\/\//.test(origin) ? URL.parse(origin) : null;
  if (url === null || host === undefined) return false;
  return url.host === URL.parse(`${url.protocol}//${host}`)?.host;
}
