import { QueryError } from '../../shared/errors.ts';
import type { ApiInstance } from '../instance.ts';
import { json, problems } from '../openapi/responses.ts';
import '../security/scopes.ts';
import type { ApiSources } from '../sources.ts';
import { logTail } from './log-tail.ts';
import {
  type ConfigurationReply,
  ConfigurationSchema,
  LogQuerySchema,
  type LogTailReply,
  LogTailSchema,
} from './schemas.ts';

const LINES_DEFAULT = 200;

const CONFIGURATION_EXAMPLE: ConfigurationReply = {
  settings: [
    { path: 'api.port', value: '5001', source: 'default' },
    { path: 'history.path', value: '/var/lib/telemetry/collector.db', source: 'collector.yaml:7' },
  ],
};

const LOG_EXAMPLE: LogTailReply = {
  file: '/var/lib/telemetry/collector.log',
  lines: [{ level: 'info', time: '2026-01-01T00:00:00.000Z', stage: 'bus', bus: 'can0', msg: 'bus is open' }],
};

/** What only who runs the service may see: the configuration in effect, and the end of the log. */
export function adminRoutes(api: ApiInstance, { settings, logFile }: ApiSources): void {
  const config = { scope: 'admin' } as const;

  const configSchema = {
    operationId: 'getConfiguration',
    summary: 'The configuration in effect',
    description: 'Every setting, its value, and where that was said.',
    tags: ['Service'],
    response: { 200: json('The settings', ConfigurationSchema, CONFIGURATION_EXAMPLE) },
  };
  api.get('/api/config', { schema: configSchema, config }, () => ({ settings: [...settings] }));

  const logSchema = {
    operationId: 'getLog',
    summary: 'The end of the log',
    description: 'The newest lines of the log file. Nothing in it is secret: tokens are never logged.',
    tags: ['Service'],
    querystring: LogQuerySchema,
    response: {
      200: json('The lines, the newest last', LogTailSchema, LOG_EXAMPLE),
      ...problems({ 400: ['QUERY_INVALID'], 404: ['LOG_FILE_NONE'] }),
    },
  };
  api.get('/api/log', { schema: logSchema, config }, async ({ query }) => {
    if (logFile === null) {
      throw new QueryError(404, 'LOG_FILE_NONE', 'The log is not written to a file: log.file is none.');
    }
    return { file: logFile, lines: await logTail(logFile, query.lines ?? LINES_DEFAULT) };
  });
}
