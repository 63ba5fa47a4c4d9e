import { Command, InvalidArgumentError, Option } from 'commander';
import { ANONYMOUS_NAME } from '../api/security/anonymous.ts';
import { SCOPES, type Scope } from '../api/security/scopes.ts';
import {
  isExpired,
  newToken,
  type StoredToken,
  storedToken,
  TOKEN_NAME_PATTERN,
} from '../api/security/token.ts';
import { changeTokenFile, readTokenFile } from '../api/security/token-file.ts';
import { loadConfig } from '../config/load-config.ts';
import { parseDurationMs } from '../config/units.ts';
import { TokenError } from '../shared/errors.ts';
import { API_TOKENS_MAX } from '../shared/limits.ts';
import { addSettingOptions, exitOnUsageError, settingFlags } from './options.ts';

/** The settings that say where the tokens are. */
const SETTING_PATHS = ['history.path', 'api.tokens'];

interface CreateOptions {
  readonly name: string;
  readonly scope: readonly Scope[];
  readonly expires?: number;
}

/** `telemetry-collector token ...` */
export function tokenCommand(): Command {
  return exitOnUsageError(
    new Command('token')
      .description('who may use the API: make, list and revoke tokens, also while the service runs')
      .addCommand(createCommand())
      .addCommand(listCommand())
      .addCommand(revokeCommand()),
  );
}

function createCommand(): Command {
  const command = new Command('create')
    .description('make a token, which is shown once')
    .addOption(
      new Option('--name <NAME>', 'what it is called, by whom or for what it is used')
        .argParser(parseName)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--scope <SCOPE>', `what it may do: ${SCOPES.join(', ')}; repeatable`)
        .argParser(parseScopes)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--expires <DURATION>',
        'how long it is good for, such as 30d (default: until it is revoked)',
      ).argParser(parseExpiry),
    )
    .addHelpText(
      'after',
      `
read: state, history, status. export: all samples as a stream. command: sends to the bus. admin: configuration and log.

The token alone goes to the standard output, so that it can be kept at once:
  telemetry-collector token create --name dashboard --scope read > dashboard.token`,
    )
    .action(({ name, scope, expires }: CreateOptions) => {
      const path = tokensPath(command);
      const createdMs = Date.now();
      const text = newToken();
      const expiresMs = expires === undefined ? null : createdMs + expires;
      const token = storedToken(text, { name, scopes: [...scope], createdMs, expiresMs });
      changeTokenFile(path, (tokens) => withToken(tokens, token));
      process.stderr.write(
        `The token ${name} (${scope.join(', ')}) is kept in ${path} as a hash: it is shown only now.\nSend it as: Authorization: Bearer TOKEN\n\n`,
      );
      process.stdout.write(`${text}\n`);
    });
  return exitOnUsageError(addSettingOptions(command, SETTING_PATHS));
}

function listCommand(): Command {
  const command = new Command('list').description('show the tokens, without what they are').action(() => {
    const path = tokensPath(command);
    const tokens = readTokenFile(path);
    process.stdout.write(
      tokens.length === 0 ? `There are no tokens in ${path}.\n` : tokenTable(tokens, Date.now()),
    );
  });
  return exitOnUsageError(addSettingOptions(command, SETTING_PATHS));
}

function revokeCommand(): Command {
  const command = new Command('revoke')
    .description('make a token good for nothing; what was opened with it is closed within a second')
    .argument('<NAME>', 'name of the token, as list shows it')
    .action((name: string) => {
      changeTokenFile(tokensPath(command), (tokens) => withoutToken(tokens, name));
      process.stderr.write(`The token ${name} is revoked.\n`);
    });
  return exitOnUsageError(addSettingOptions(command, SETTING_PATHS));
}

function tokensPath(command: Command): string {
  return loadConfig({ flags: settingFlags(command) }).config.api.tokensPath;
}

/** Throws TokenError TOKEN_NAME_TAKEN and TOKENS_FULL. */
function withToken(tokens: readonly StoredToken[], token: StoredToken): readonly StoredToken[] {
  if (tokens.some(({ name }) => name === token.name)) {
    throw new TokenError(
      'TOKEN_NAME_TAKEN',
      `There is a token ${token.name} already. Choose another name, or revoke it: telemetry-collector token revoke ${token.name}`,
    );
  }
  if (tokens.length >= API_TOKENS_MAX) {
    throw new TokenError(
      'TOKENS_FULL',
      `There are ${API_TOKENS_MAX} tokens, and there can't be more. Revoke one that nobody uses: telemetry-collector token list shows them.`,
    );
  }
  return [...tokens, token];
}

/** Throws TokenError TOKEN_UNKNOWN. */
function withoutToken(tokens: readonly StoredToken[], name: string): readonly StoredToken[] {
  const left = tokens.filter((token) => token.name !== name);
  if (left.length < tokens.length) return left;
  const names = tokens.map((token) => token.name).join(', ') || 'none';
  throw new TokenError('TOKEN_UNKNOWN', `There is no token ${name}. There are: ${names}.`);
}

function tokenTable(tokens: readonly StoredToken[], nowMs: number): string {
  const rows = [
    ['NAME', 'SCOPES', 'CREATED', 'EXPIRES', 'TOKEN'],
    ...tokens.map((token) => [
      token.name,
      token.scopes.join(','),
      dateText(token.createdMs),
      token.expiresMs === null
        ? 'never'
        : `${dateText(token.expiresMs)}${isExpired(token, nowMs) ? ' (expired)' : ''}`,
      `…${token.last4}`,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  '));
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

function dateText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

function parseName(text: string): string {
  if (!TOKEN_NAME_PATTERN.test(text) || text === ANONYMOUS_NAME) {
    throw new InvalidArgumentError(
      `Expected 1 to 64 letters, digits, dots, dashes or underscores, and not ${ANONYMOUS_NAME}.`,
    );
  }
  return text;
}

function parseScopes(text: string, scopes: readonly Scope[] = []): readonly Scope[] {
  const scope = SCOPES.find((candidate) => candidate === text);
  if (scope === undefined) throw new InvalidArgumentError(`Expected one of ${SCOPES.join(', ')}.`);
  return scopes.includes(scope) ? scopes : [...scopes, scope];
}

function parseExpiry(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms <= 0 || ms > EXPIRY_MS_MAX) {
    throw new InvalidArgumentError('Expected a duration such as 12h or 30d, 36500d at the most.');
  }
  return ms;
}

const EXPIRY_MS_MAX = 36_500 * 86_400_000;
