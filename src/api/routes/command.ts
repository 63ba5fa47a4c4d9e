import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Asker, CommandAnswer, CommandRecord, CommandRequest } from '../../commands/command-record.ts';
import { sampleWriter } from '../../history/reader/sample-writer.ts';
import { QueryError } from '../../shared/errors.ts';
import { AUDIT_ENTRIES_KEPT, COMMAND_BODY_BYTES_MAX } from '../../shared/limits.ts';
import { checkCommandBody } from '../command/command-body.ts';
import { COMMAND_DESCRIPTION, COMMANDS_DESCRIPTION } from '../command/description.ts';
import {
  type CommandBody,
  type CommandEntry,
  type CommandReply,
  CommandSchema,
  CommandsQuerySchema,
} from '../command/schemas.ts';
import type { ApiInstance } from '../instance.ts';
import '../security/scopes.ts';
import type { ApiSources, CommandSender } from '../sources.ts';

const LIMIT_DEFAULT = 100;

const COMMANDS_DISABLED =
  'Commands are off: this service sends nothing to the vehicle that is asked over HTTP. To allow it start it with ' +
  '--commands on, or put `commands: {enabled: on}` into its configuration, and give the client a token with the scope command.';

/** Sends commands to the vehicle, and tells of those that were sent or refused. */
export function commandRoutes(api: ApiInstance, { commands }: ApiSources): void {
  commandRoute(api, commands);
  auditRoute(api, commands);
}

function commandRoute(api: ApiInstance, commands: CommandSender | null): void {
  /** Requests that have come as far as the sender, which notes them down itself. */
  const looked = new WeakSet<FastifyRequest>();

  /** What is refused before, for want of a token, say, or because it is no command, is noted down as well. */
  async function noteRefusal(
    request: FastifyRequest,
    reply: FastifyReply,
    payload: unknown,
  ): Promise<unknown> {
    if (commands !== null && reply.statusCode >= 400 && !looked.has(request)) {
      const asked = request.body === undefined ? null : JSON.stringify(request.body);
      await commands.refuse({ ...refusalOf(payload, reply.statusCode), asked }, askerOf(request));
    }
    return payload;
  }

  api.post(
    '/api/command',
    {
      schema: { ...COMMAND_DESCRIPTION, body: CommandSchema },
      // An emergency stop is to go out whoever at its address asks too often; the sender has a limit, from which stops are free.
      config: { scope: 'command', hasOwnLimit: true },
      bodyLimit: COMMAND_BODY_BYTES_MAX,
      // A service that takes no commands says so first.
      onRequest: async (request) => {
        if (commands === null) throw new QueryError(404, 'COMMANDS_DISABLED', COMMANDS_DISABLED);
        expectJson(request);
      },
      validatorCompiler: () => checkCommandBody,
      onSend: noteRefusal,
    },
    async (request, reply): Promise<CommandReply> => {
      looked.add(request);
      try {
        return replyOf(await commands!.send(requestOf(request.body), askerOf(request)));
      } catch (error) {
        if (error instanceof QueryError && error.statusCode === 429) reply.header('retry-after', '1');
        throw error;
      }
    },
  );
}

function auditRoute(api: ApiInstance, commands: CommandSender | null): void {
  const schema = { ...COMMANDS_DESCRIPTION, querystring: CommandsQuerySchema };
  api.get('/api/commands', { schema, config: { scope: 'command' } }, ({ query }) => {
    if (commands === null) throw new QueryError(404, 'COMMANDS_DISABLED', COMMANDS_DISABLED);
    const limit = Math.min(query.limit ?? LIMIT_DEFAULT, AUDIT_ENTRIES_KEPT);
    return { commands: commands.newest(limit).map(entryOf) };
  });
}

/** Other types would be refused, too, but without a word on what to do. */
function expectJson({ headers }: FastifyRequest): void {
  const type = headers['content-type'];
  if (/^application\/json\s*(;|$)/i.test(type ?? '')) return;
  const found = type === undefined ? 'none' : JSON.stringify(type.slice(0, 60));
  throw new QueryError(
    415,
    'BODY_NOT_JSON',
    `Expected a body of JSON, with the header Content-Type: application/json, found ${found}.`,
  );
}

function askerOf(request: FastifyRequest): Asker {
  return { principal: request.principal?.name ?? 'anonymous', address: request.ip };
}

/** What the client is told. */
function refusalOf(payload: unknown, statusCode: number): { code: string; message: string } {
  try {
    const { code, message } = JSON.parse(String(payload));
    return { code: String(code), message: String(message) };
  } catch {
    return { code: `HTTP_${statusCode}`, message: '' };
  }
}

function requestOf(body: CommandBody): CommandRequest {
  return {
    componentType: body.component_type,
    componentId: body.component_id,
    commandId: body.command_id,
    value: body.value,
    ...(body.value_type !== undefined && { valueType: body.value_type }),
    ...(body.bus !== undefined && { bus: body.bus }),
    ...(body.timeout_s !== undefined && { timeoutMs: body.timeout_s * 1000 }),
  };
}

function replyOf(answer: CommandAnswer): CommandReply {
  const { echo } = answer;
  const text = echo && sampleWriter(echo.series)(echo.seq, echo.timestampUs, echo.rawValue);
  return {
    id: answer.id,
    status: 'acknowledged',
    bus: answer.bus,
    sent: answer.sentUs / 1_000_000,
    acknowledged: answer.acknowledgedUs / 1_000_000,
    round_trip_ms: answer.roundTripMs,
    echoed_by: [...answer.echoedBy],
    acked_by: [...answer.ackedBy],
    echo: text && JSON.parse(text),
    audited: answer.isAudited,
  };
}

function entryOf({ time, ...record }: CommandRecord): CommandEntry {
  const { echoed_by, acked_by } = record;
  return {
    ...record,
    timestamp: Date.parse(time) / 1000,
    echoed_by: [...echoed_by],
    acked_by: [...acked_by],
  };
}
