import type { FastifySchemaValidationError } from 'fastify/types/schema.js';

/** Says of a request that its schema refuses what was expected, what was found and where. */
export function explainValidation(errors: FastifySchemaValidationError[], where: string): Error {
  const [error] = errors as (FastifySchemaValidationError & { data?: unknown; parentSchema?: Schema })[];
  if (error === undefined) return new Error(`${where}: not as expected`);
  if (error.keyword === 'additionalProperties') {
    const known = Object.keys(error.parentSchema?.properties ?? {}).join(', ');
    return new Error(
      `There is no parameter ${String(error.params.additionalProperty)}; the parameters are: ${known}.`,
    );
  }
  if (error.keyword === 'required') {
    return new Error(`Expected the parameter ${String(error.params.missingProperty)}, found none.`);
  }
  // One of a list is called by the list's name.
  const name = error.instancePath.slice(1).replace(/\/\d+$/, '') || where;
  return new Error(
    `Expected ${name} to be ${describeSchema(error.parentSchema)}, found ${shown(error.data)}.`,
  );
}

/** What of a schema says what is expected. */
export interface Schema {
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly { readonly const?: unknown }[];
  readonly properties?: object;
}

/** What is expected, in words. */
export function describeSchema(schema: Schema | undefined): string {
  if (schema?.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema?.type === 'string' && schema.maxLength !== undefined) {
    return `text of 1 to ${schema.maxLength} characters`;
  }
  if (schema?.type === 'array' && schema.maxItems !== undefined) {
    return `a list of ${schema.minItems ?? 0} to ${schema.maxItems}, each ${describeSchema(schema.items)}`;
  }
  const type = schema?.type === 'integer' ? 'an integer' : `a ${schema?.type ?? 'valid value'}`;
  if (schema?.minimum !== undefined && schema.maximum !== undefined) {
    return `${type} from ${schema.minimum} to ${schema.maximum}`;
  }
  return schema?.minimum === undefined ? type : `${type}, ${schema.minimum} or more`;
}

/** What was found, for a message. */
export function shown(data: unknown): string {
  const text = JSON.stringify(data) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
