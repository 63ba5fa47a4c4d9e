import { type Static, type TSchema, Type } from 'typebox';

/** Schemas of what may be null. */
export const Nullable = {
  number: Type.Unsafe<number | null>({ type: ['number', 'null'] }),
  integer: Type.Unsafe<number | null>({ type: ['integer', 'null'] }),
  string: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  boolean: Type.Unsafe<boolean | null>({ type: ['boolean', 'null'] }),
};

/** A schema of its own, or null. */
export function nullable<S extends TSchema>(schema: S, description?: string) {
  return Type.Unsafe<Static<S> | null>({
    anyOf: [schema, { type: 'null' }],
    ...(description !== undefined && { description }),
  });
}
