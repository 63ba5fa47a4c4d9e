import { createHash, randomBytes } from 'node:crypto';
import type { Scope } from './scopes.ts';

/** A token as it is kept: all but the token itself. */
export interface StoredToken {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** SHA-256, in hexadecimal. */
  readonly hash: string;
  /** The token's last characters, for people to know it again. */
  readonly last4: string;
  /** Milliseconds since the epoch. */
  readonly createdMs: number;
  /** Null for a token that doesn't expire. */
  readonly expiresMs: number | null;
}

/** What a token begins with, so that people and scanners of source code know one when they see it. */
const PREFIX = 'tc_';
const RANDOM_BYTES = 32;

export const TOKEN_PATTERN = /^tc_[\w-]{43}$/;
export const TOKEN_NAME_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;

export function newToken(): string {
  return PREFIX + randomBytes(RANDOM_BYTES).toString('base64url');
}

/**
 * What is kept of a token. One round of SHA-256 is right here: a slow hash with a salt makes the guessing of passwords dear, of
 * which people choose few; of 256 random bits nobody guesses any, however fast.
 */
export function tokenHash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

export function storedToken(
  token: string,
  { name, scopes, createdMs, expiresMs }: Omit<StoredToken, 'hash' | 'last4'>,
): StoredToken {
  const hash = tokenHash(token).toString('hex');
  return { name, scopes, hash, last4: token.slice(-4), createdMs, expiresMs };
}

/** By the machine's clock: where that is wrong, so is this. */
export function isExpired({ expiresMs }: Pick<StoredToken, 'expiresMs'>, nowMs = Date.now()): boolean {
  return expiresMs !== null && expiresMs <= nowMs;
}
