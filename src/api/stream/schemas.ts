import { type Static, Type } from 'typebox';
import { STREAM_PATTERN_CHARS_MAX, STREAM_PATTERNS_MAX, STREAM_PING_BYTES_MAX } from '../../shared/limits.ts';
import { SampleSchema } from '../schemas.ts';

/** What goes over the live stream, both ways; docs/streaming.md says it in words. */

/** The WebSocket subprotocol that is selected where it is offered. */
export const STREAM_PROTOCOL = 'collector.v1';

export const ENCODINGS = ['json', 'binary'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Why samples come: the latest when it was asked for them, what was missed before, or as they came. */
export const CAUSES = ['snapshot', 'resume', 'live'] as const;
export type Cause = (typeof CAUSES)[number];

const IdSchema = Type.String({ minLength: 1, maxLength: 64, description: 'chosen by the client' });

const SeqSchema = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'everything up to it has been considered: what to resume from',
});

export const PatternSchema = Type.String({
  minLength: 1,
  maxLength: STREAM_PATTERN_CHARS_MAX,
  description: 'component type/component id/command id, as MOTORS/*/RPM, MOTORS/** or **',
});

/** What a subscription asks for, over WebSocket and in the query of an event stream. */
export const SubscriptionFields = {
  max_hz: Type.Optional(
    Type.Number({
      minimum: 0.1,
      maximum: 1000,
      description: 'messages a second at most, with the latest of each signal; without it every sample comes',
      examples: [10],
    }),
  ),
  since: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'the `seq` up to which all has been seen: what came since comes first',
      examples: [1042],
    }),
  ),
  snapshot: Type.Optional(
    Type.Boolean({
      description: 'whether the latest of each signal comes first; unless told, without since',
      examples: [true],
    }),
  ),
  message_type: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'COMMAND, STATUS, ACK or ERROR, or its number',
      examples: ['STATUS'],
    }),
  ),
  bus: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'a bus by its name in the configuration',
      examples: ['can0'],
    }),
  ),
};

export const SubscribeSchema = Type.Object(
  {
    type: Type.Literal('subscribe'),
    id: IdSchema,
    signals: Type.Array(PatternSchema, { minItems: 1, maxItems: STREAM_PATTERNS_MAX }),
    ...SubscriptionFields,
  },
  { title: 'StreamSubscribe' },
);

export const UnsubscribeSchema = Type.Object(
  { type: Type.Literal('unsubscribe'), id: IdSchema },
  { title: 'StreamUnsubscribe' },
);

export const PingSchema = Type.Object(
  {
    type: Type.Literal('ping'),
    data: Type.Optional(
      Type.Unknown({ description: `anything of ${STREAM_PING_BYTES_MAX} bytes at most, which comes back` }),
    ),
  },
  { title: 'StreamPing' },
);

export const HelloSchema = Type.Object(
  {
    type: Type.Literal('hello'),
    version: Type.String(),
    encoding: Type.Enum([...ENCODINGS]),
    simulated: Type.Boolean({ description: 'whether any bus is simulated' }),
    run: Type.String({ description: 'another one after each start of the service' }),
    seq: SeqSchema,
    heartbeat_s: Type.Number({ description: 'something is heard at least that often' }),
  },
  { title: 'StreamHello' },
);

export const SubscribedSchema = Type.Object(
  {
    type: Type.Literal('subscribed'),
    id: IdSchema,
    ordinal: Type.Integer({ description: 'stands for the id in binary messages' }),
    signals: Type.Integer({ description: 'that match and have been heard; new ones join by themselves' }),
    seq: SeqSchema,
  },
  { title: 'StreamSubscribed' },
);

export const UnsubscribedSchema = Type.Object(
  { type: Type.Literal('unsubscribed'), id: IdSchema },
  { title: 'StreamUnsubscribed' },
);

export const SamplesSchema = Type.Object(
  {
    type: Type.Literal('samples'),
    id: Type.Optional(IdSchema),
    cause: Type.Enum([...CAUSES]),
    seq: SeqSchema,
    missed: Type.Integer({
      description: 'samples since the last message that are left out: the client was behind',
    }),
    thinned: Type.Integer({ description: 'samples since the last message that max_hz has left out' }),
    samples: Type.Array(SampleSchema),
  },
  { title: 'StreamSamples' },
);

export const GAP_REASONS = ['too_many', 'not_stored'] as const;
export type GapReason = (typeof GAP_REASONS)[number];

export const StreamGapSchema = Type.Object(
  {
    type: Type.Literal('gap'),
    id: Type.Optional(IdSchema),
    from_seq: Type.Integer(),
    to_seq: Type.Integer({ description: 'inclusive' }),
    reason: Type.Enum([...GAP_REASONS]),
  },
  { title: 'StreamGap' },
);

export const StreamSeriesSchema = Type.Object(
  {
    type: Type.Literal('series'),
    series: Type.Array(
      Type.Object({
        series: Type.Integer({ description: 'the number that binary messages have for it' }),
        bus: Type.String(),
        node_id: Type.Integer(),
        message_type: Type.String(),
        component_type: Type.String(),
        component_id: Type.String(),
        command_id: Type.String(),
        value_type: Type.String(),
        unit: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
        scale: Type.Number({ description: 'value = raw_value * scale' }),
        value_names: Type.Unsafe<Record<string, string> | null>({ type: ['object', 'null'] }),
      }),
    ),
  },
  { title: 'StreamSeries' },
);

export const PongSchema = Type.Object(
  { type: Type.Literal('pong'), data: Type.Optional(Type.Unknown()) },
  { title: 'StreamPong' },
);

export const HeartbeatSchema = Type.Object(
  { type: Type.Literal('heartbeat'), timestamp: Type.Number(), seq: SeqSchema },
  { title: 'StreamHeartbeat' },
);

export const StreamErrorSchema = Type.Object(
  {
    type: Type.Literal('error'),
    id: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: 'of the subscription that it is about',
    }),
    code: Type.String({ description: 'stable, for programs' }),
    message: Type.String(),
  },
  { title: 'StreamError' },
);

export type SubscribeMessage = Static<typeof SubscribeSchema>;
export type ClientMessage = SubscribeMessage | Static<typeof UnsubscribeSchema> | Static<typeof PingSchema>;
export type HelloMessage = Static<typeof HelloSchema>;
export type SamplesMessage = Static<typeof SamplesSchema>;
export type StreamGapMessage = Static<typeof StreamGapSchema>;
export type SeriesMessage = Static<typeof StreamSeriesSchema>;
/** What the service tells, but for samples in their binary form. */
export type ServerMessage =
  | HelloMessage
  | Static<typeof SubscribedSchema>
  | Static<typeof UnsubscribedSchema>
  | SamplesMessage
  | StreamGapMessage
  | SeriesMessage
  | Static<typeof PongSchema>
  | Static<typeof HeartbeatSchema>
  | Static<typeof StreamErrorSchema>;
/** Those that aren't made for each client anew out of what all have in common. */
export type ControlMessage = Exclude<ServerMessage, SamplesMessage>;
