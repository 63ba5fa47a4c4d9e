import { type Static, Type } from 'typebox';
import { LOG_TAIL_LINES_MAX } from '../../shared/limits.ts';

/** What only who runs the service is told. */

export const ConfigurationSchema = Type.Object(
  {
    settings: Type.Array(
      Type.Object({
        path: Type.String({ description: 'as docs/configuration.md has it' }),
        value: Type.String({ description: 'as one would write it' }),
        source: Type.String({
          description: 'where it was said: flag --port, env API_PORT, collector.yaml:12, or default',
        }),
      }),
    ),
  },
  { title: 'Configuration' },
);

export const LogQuerySchema = Type.Object(
  {
    lines: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LOG_TAIL_LINES_MAX,
        description: 'at most; 200 by default',
        examples: [50],
      }),
    ),
  },
  { additionalProperties: false },
);

export const LogTailSchema = Type.Object(
  {
    file: Type.String(),
    lines: Type.Array(Type.Record(Type.String(), Type.Unknown()), {
      description: 'as they were logged, the newest last; time, level and msg are in each',
    }),
  },
  { title: 'LogTail' },
);

export type ConfigurationReply = Static<typeof ConfigurationSchema>;
export type LogTailReply = Static<typeof LogTailSchema>;
