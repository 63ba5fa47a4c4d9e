/** What a token may do. */
export const SCOPES = ['read', 'export', 'command', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Who asks, as the API has found out before a route is called. */
export interface Principal {
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly isAnonymous: boolean;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What asking needs; null for what anybody may ask. */
    scope?: Scope | null;
  }
  interface FastifyRequest {
    principal: Principal;
  }
}
