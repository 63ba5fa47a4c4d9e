import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Server as HttpsServer } from 'node:https';
import { createSecureContext } from 'node:tls';
import type { Logger } from 'pino';
import { ConfigError, errorCode, errorMessage } from '../../shared/errors.ts';
import { FileWatch } from './file-watch.ts';

export interface CertificatePair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/**
 * The certificate of the API and its key, read again when the files change, as they do when it is renewed: connections that are
 * open go on, new ones get the new one. A pair that can't be used, as between the writing of one file and the other, is told,
 * and the old one stays.
 */
export class Certificate {
  readonly #certPath: string;
  readonly #keyPath: string;
  readonly #log: Logger;
  readonly #watch: FileWatch;
  readonly #servers = new Set<HttpsServer>();
  #pair: CertificatePair;
  #expiresMs: number;
  #problem: { readonly code: string; readonly message: string } | null = null;

  /** Throws ConfigError TLS_INVALID where the files can't be used. */
  constructor(certPath: string, keyPath: string, log: Logger) {
    this.#certPath = certPath;
    this.#keyPath = keyPath;
    this.#log = log;
    this.#watch = new FileWatch([certPath, keyPath], () => this.#readAgain());
    try {
      this.#pair = readPair(certPath, keyPath);
      this.#expiresMs = expiryMs(this.#pair);
    } catch (error) {
      this.#watch.stop();
      throw error;
    }
    if (this.#expiresMs < Date.now()) log.warn({ cert: certPath }, 'the certificate of the API has expired');
  }

  get pair(): CertificatePair {
    return this.#pair;
  }

  /** When it expires, in milliseconds since the epoch. */
  get expiresMs(): number {
    return this.#expiresMs;
  }

  /** Why the files can't be used, while they can't. */
  get problem(): { readonly code: string; readonly message: string } | null {
    return this.#problem;
  }

  /** The server gets each new pair. */
  addServer(server: HttpsServer): void {
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
  }

  close(): void {
    this.#watch.stop();
  }

  #readAgain(): void {
    try {
      const pair = readPair(this.#certPath, this.#keyPath);
      for (const server of this.#servers) server.setSecureContext({ ...pair });
      this.#pair = pair;
      this.#expiresMs = expiryMs(pair);
      this.#problem = null;
      this.#log.info({ expires: new Date(this.#expiresMs).toISOString() }, 'certificate read again');
    } catch (error) {
      this.#problem = { code: errorCode(error), message: errorMessage(error) };
      this.#log.warn(
        { reason: errorMessage(error) },
        'certificate not read again: the one from before stays',
      );
    }
  }
}

function readPair(certPath: string, keyPath: string): CertificatePair {
  const pair = { cert: readPem(certPath), key: readPem(keyPath) };
  try {
    createSecureContext({ ...pair });
  } catch (error) {
    throw new ConfigError(
      'TLS_INVALID',
      `The API can't be served by HTTPS: expected a certificate in ${certPath} and its key in ${keyPath}, both as PEM and the key without a passphrase; found ${errorMessage(error)}.`,
      { cause: error },
    );
  }
  return pair;
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigError('TLS_INVALID', `The API can't be served by HTTPS: ${errorMessage(error)}.`, {
      cause: error,
    });
  }
}

function expiryMs({ cert }: CertificatePair): number {
  return Date.parse(new X509Certificate(cert).validTo);
}
