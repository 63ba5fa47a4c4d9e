import { type Static, Type } from 'typebox';
import type { SeriesQuery, SignalKey } from '../../history/history-query.ts';
import { MESSAGE_TYPE } from '../../protocol/kart-codec.ts';
import type { ProtocolRegistry } from '../../protocol/protocol-registry.ts';
import { wallClockUs } from '../../shared/clock.ts';
import { QueryError } from '../../shared/errors.ts';
import { SERIES_POINTS_MAX, SERIES_SIGNALS_MAX } from '../../shared/limits.ts';
import type { ApiInstance } from '../instance.ts';
import { commandOf, componentOf, componentTypeOf, messageTypeOf } from '../names.ts';
import { SERIES_EXAMPLE } from '../openapi/examples.ts';
import { BusFilter } from '../openapi/parameters.ts';
import { json, problems } from '../openapi/responses.ts';
import { SeriesSchema } from '../schemas.ts';
import type { ApiSources } from '../sources.ts';
import { parseTime } from '../time-parameter.ts';

const POINTS_DEFAULT = 500;
/** How far back an answer goes that doesn't say from when. */
const SPAN_DEFAULT_US = 3_600_000_000;

const SeriesQuerySchema = Type.Object(
  {
    signal: Type.Array(Type.String(), {
      minItems: 1,
      maxItems: SERIES_SIGNALS_MAX,
      description: `component type/component id/command id, by names or numbers; repeated for each signal, up to ${SERIES_SIGNALS_MAX} times`,
      examples: [
        ['MOTORS/MOTOR_LEFT_REAR/RPM'],
        ['MOTORS/MOTOR_LEFT_REAR/RPM', 'NAVIGATION/GPS_PRIMARY/SPEED'],
        ['1/0/1'],
      ],
    }),
    from: Type.Optional(
      Type.String({
        description: 'epoch seconds or ISO 8601, inclusive; an hour before `to` by default',
        examples: ['2026-01-01T00:00:00Z', '1767225600.5'],
      }),
    ),
    to: Type.Optional(
      Type.String({
        description: 'epoch seconds or ISO 8601, exclusive; now by default',
        examples: ['2026-01-01T00:01:00Z', '1767225660.25'],
      }),
    ),
    points: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: SERIES_POINTS_MAX,
        default: POINTS_DEFAULT,
        description:
          'equal spans of time that the answer has; some fewer, or one more, where each would be 10 s or longer, as they then begin with whole seconds',
        examples: [100],
      }),
    ),
    message_type: Type.Optional(
      Type.String({
        description: 'whose samples are meant; STATUS by default',
        examples: ['STATUS', 'COMMAND'],
      }),
    ),
    bus: BusFilter,
  },
  { additionalProperties: false },
);

/** Signals over time, as so many points as a plot has. */
export function seriesRoutes(api: ApiInstance, { registry, history }: ApiSources): void {
  const schema = {
    operationId: 'getSeries',
    summary: 'Signals over time, as columns for plots',
    description:
      'Least, greatest, mean and last value of each signal in each of `points` equal spans of time, null where a span has no sample. A signal is told in the unit that it had last in that time; what was recorded under another is left out. What is older than the samples that are kept comes from what they came to by the second or minute, each in the span in which it begins.',
    tags: ['History'],
    querystring: SeriesQuerySchema,
    response: {
      200: json('The columns', SeriesSchema, SERIES_EXAMPLE),
      ...problems({
        400: [
          'QUERY_INVALID',
          'TIME_INVALID',
          'SIGNAL_INVALID',
          'COMPONENT_TYPE_UNKNOWN',
          'COMPONENT_UNKNOWN',
          'COMMAND_UNKNOWN',
          'MESSAGE_TYPE_UNKNOWN',
        ],
        500: ['HISTORY_READ_FAILED'],
        503: ['HISTORY_BUSY', 'HISTORY_CLOSED'],
      }),
    },
  };
  api.get('/api/series', { schema, config: { scope: 'read' } }, async ({ query }, reply) => {
    const text = await history.series(seriesQuery(registry, query));
    // The reader's thread has written the JSON already.
    return reply.type('application/json; charset=utf-8').send(text as never);
  });
}

function seriesQuery(registry: ProtocolRegistry, parameters: Static<typeof SeriesQuerySchema>): SeriesQuery {
  const { signal, from, to, points = POINTS_DEFAULT, message_type, bus } = parameters;
  const toUs = to === undefined ? wallClockUs() : parseTime('to', to);
  const fromUs = from === undefined ? toUs - SPAN_DEFAULT_US : parseTime('from', from);
  if (fromUs >= toUs) {
    throw new QueryError(
      400,
      'TIME_INVALID',
      `Expected from to be before to, found ${from} and ${to ?? 'now'}.`,
    );
  }
  return {
    signals: signal.map((path) => signalKey(registry, path)),
    messageType: message_type === undefined ? MESSAGE_TYPE.STATUS : messageTypeOf(registry, message_type),
    bus,
    fromUs,
    toUs,
    // A span is a microsecond at least: of shorter ones several would begin at the same time.
    points: Math.min(points, toUs - fromUs),
  };
}

function signalKey(registry: ProtocolRegistry, path: string): SignalKey {
  const [type, id, command, ...more] = path.split('/');
  if (type === undefined || id === undefined || command === undefined || more.length > 0) {
    throw new QueryError(
      400,
      'SIGNAL_INVALID',
      `Expected signal to be component type/component id/command id, such as MOTORS/MOTOR_LEFT_REAR/RPM, found "${path.slice(0, 60)}".`,
    );
  }
  const componentType = componentTypeOf(registry, type, 400);
  return {
    componentType,
    componentId: componentOf(registry, componentType, id, 400),
    commandId: commandOf(registry, componentType, command),
  };
}
