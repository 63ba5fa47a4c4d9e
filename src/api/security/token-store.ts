import { timingSafeEqual } from 'node:crypto';
import type { Logger } from 'pino';
import { errorCode, errorMessage } from '../../shared/errors.ts';
import { FileWatch } from './file-watch.ts';
import type { Principal, Scope } from './scopes.ts';
import { isExpired, type StoredToken, TOKEN_PATTERN, tokenHash } from './token.ts';
import { readTokenFile } from './token-file.ts';

/** A token that is known, and who brings it. */
export interface KnownToken {
  /** What it is told from others by: its hash. */
  readonly id: string;
  readonly expiresMs: number | null;
  readonly principal: Principal;
  readonly hash: Buffer;
}

/**
 * The tokens of the file, read again when it changes: one that is made or revoked is so within a second, without a restart. A
 * file that can't be read any more changes nothing but is told; one that is gone revokes all.
 */
export class TokenStore {
  readonly #path: string;
  readonly #log: Logger;
  readonly #everybody: ReadonlySet<Scope>;
  readonly #watch: FileWatch;
  #tokens: readonly KnownToken[] = [];
  #problem: { readonly code: string; readonly message: string } | null = null;

  /**
   * Throws TokenError. `everybody`: what may be done without a token, and so with any. `onLook` is called each second, since
   * tokens may have been revoked or have expired.
   */
  constructor(path: string, everybody: ReadonlySet<Scope>, log: Logger, onLook: () => void) {
    this.#path = path;
    this.#log = log;
    this.#everybody = everybody;
    // Watched before it is read, so that no change falls between.
    this.#watch = new FileWatch([path], () => this.#readAgain(), onLook);
    try {
      this.#tokens = this.#read();
    } catch (error) {
      this.#watch.stop();
      throw error;
    }
  }

  /** Tokens that haven't expired. */
  get count(): number {
    return this.#tokens.filter((token) => !isExpired(token)).length;
  }

  /** Why the file can't be read, while it can't. */
  get problem(): { readonly code: string; readonly message: string } | null {
    return this.#problem;
  }

  /**
   * The token that is `text`; null where there is none. Each is compared, and in constant time, so that how long it takes says
   * nothing of how near a guess came.
   */
  find(text: string): KnownToken | null {
    if (!TOKEN_PATTERN.test(text)) return null;
    const hash = tokenHash(text);
    let found: KnownToken | null = null;
    for (const token of this.#tokens) {
      if (timingSafeEqual(token.hash, hash)) found = token;
    }
    return found === null || isExpired(found) ? null : found;
  }

  /** Whether a token that was found once is still good. */
  isGood(id: string): boolean {
    return this.#tokens.some((token) => token.id === id && !isExpired(token));
  }

  close(): void {
    this.#watch.stop();
  }

  #read(): KnownToken[] {
    return readTokenFile(this.#path).map((token) => this.#known(token));
  }

  #known({ name, scopes, hash, expiresMs }: StoredToken): KnownToken {
    const principal = { name, scopes: new Set([...this.#everybody, ...scopes]), isAnonymous: false };
    return { id: hash, expiresMs, principal, hash: Buffer.from(hash, 'hex') };
  }

  #readAgain(): void {
    try {
      this.#tokens = this.#read();
      this.#problem = null;
      this.#log.info({ tokens: this.#tokens.length }, 'tokens read again');
    } catch (error) {
      this.#problem = { code: errorCode(error), message: errorMessage(error) };
      this.#log.error({ reason: errorMessage(error) }, 'tokens not read again: those from before stay');
    }
  }
}
