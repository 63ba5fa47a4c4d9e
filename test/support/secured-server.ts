import { join } from 'node:path';
import { pino } from 'pino';
import type { ApiInstance } from '../../src/api/instance.ts';
import { type ApiLimits, ApiSecurity, type ApiSecurityConfig } from '../../src/api/security/api-security.ts';
import type { Scope } from '../../src/api/security/scopes.ts';
import { newToken, storedToken } from '../../src/api/security/token.ts';
import { changeTokenFile } from '../../src/api/security/token-file.ts';
import { createServer } from '../../src/api/server.ts';
import type { ApiSources } from '../../src/api/sources.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { type Cleanup, temporaryDirectory } from './temporary-directory.ts';

export interface SecuredServer {
  readonly instance: ApiInstance;
  readonly security: ApiSecurity;
  /** Starts to listen on 127.0.0.1; gives the URL. */
  listen(): Promise<string>;
}

export interface SecuredOptions {
  readonly config?: Partial<ApiSecurityConfig>;
  readonly limits?: Partial<ApiLimits>;
  /** By their names; `tokens` of what is given back has them. */
  readonly tokens?: Readonly<Record<string, readonly Scope[]>>;
}

/** A server over the sources of another one, with a safety of its own. */
export function securedServer<Names extends string = never>(
  test: Cleanup,
  sources: ApiSources,
  options: SecuredOptions & { readonly tokens?: Readonly<Record<Names, readonly Scope[]>> } = {},
): SecuredServer & { readonly tokens: Readonly<Record<Names, string>> } {
  const tokensPath = join(temporaryDirectory(test), 'tokens.json');
  const tokens: Partial<Record<Names, string>> = {};
  for (const [name, scopes] of Object.entries<readonly Scope[]>(options.tokens ?? {})) {
    const text = newToken();
    tokens[name as Names] = text;
    const stored = storedToken(text, { name, scopes, createdMs: Date.now(), expiresMs: null });
    changeTokenFile(tokensPath, (present) => [...present, stored]);
  }
  const config = { ...sources.security.config, tokensPath, ...options.config };
  const security = new ApiSecurity(config, sources.log, options.limits);
  const { instance, listen, close } = createServer({ ...sources, security });
  test.after(async () => {
    security.close();
    await close();
  });
  return {
    instance,
    security,
    tokens: tokens as Record<Names, string>,
    listen: () => listen({ host: '127.0.0.1', port: 0 }),
  };
}

/** A safety that lets everybody on this machine read, for what isn't about it. */
export function openSecurity(test: Cleanup): ApiSecurity {
  const { config } = loadConfig({ flags: {}, env: {}, cwd: temporaryDirectory(test) });
  const security = new ApiSecurity(
    { ...config.api, tokensPath: join(temporaryDirectory(test), 'tokens.json') },
    pino({ enabled: false }),
  );
  test.after(() => security.close());
  return security;
}
