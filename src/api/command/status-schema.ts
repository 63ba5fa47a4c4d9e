import { Type } from 'typebox';

/** What /api/status tells of commands. */
export const CommandsStatusSchema = Type.Object(
  {
    enabled: Type.Boolean(),
    sent: Type.Integer({ description: 'frames, since the start' }),
    acknowledged: Type.Integer({ description: 'those that a node echoed' }),
    timed_out: Type.Integer({ description: 'those that no node answered in time' }),
    refused_by_node: Type.Integer({ description: 'those that a node answered with an ERROR' }),
    refused: Type.Integer({
      description: 'commands that were not sent: not allowed, not understood, or too many',
    }),
    failed: Type.Integer({ description: 'commands that could not be sent, or were cut off by a stop' }),
    stops_joined: Type.Integer({
      description: 'emergency stops that came while the same one was on its way to the bus',
    }),
    waiting: Type.Integer({ description: 'for their echoes' }),
    waiting_max: Type.Integer(),
    audit: Type.Object({
      path: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
      failures: Type.Integer({ description: 'writes that the disk refused, or did not answer in time' }),
      lines_waiting: Type.Integer({ description: 'for the disk' }),
      lines_waiting_max: Type.Integer(),
      lines_lost: Type.Integer({ description: 'those beyond' }),
      refusals_left_out: Type.Integer({ description: 'refused attempts that have no line of their own' }),
      problem: Type.Unsafe<{ code: string; message: string } | null>({
        type: ['object', 'null'],
        properties: { code: { type: 'string' }, message: { type: 'string' } },
        required: ['code', 'message'],
      }),
    }),
  },
  { title: 'CommandsStatus' },
);
