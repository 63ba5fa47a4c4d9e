import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { CommandBody, CommandEntry, CommandReply } from '../../src/api/command/schemas.ts';
import type { ErrorReply } from '../../src/api/schemas.ts';
import { CHECKOUT, type Service } from './service.ts';

/** A reply to a command: what it says, and whether it is one of success. */
export interface CommandResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly reply: CommandReply & ErrorReply;
}

/** Sends commands to a service as a client with the right to does. */
export interface CommandClient {
  send(body: CommandBody): Promise<CommandResponse>;
  /** The newest entries of the audit log. */
  entries(limit?: number): Promise<CommandEntry[]>;
}

/**
 * The headers of a client that may send commands to a service with this database: those of a token that is made for it,
 * ahead of the service's start. None where there are no tokens, and so nobody asks for one.
 */
export function commandHeaders(database: string): Record<string, string> {
  const args = ['token', 'create', '--name', 'test', '--scope', 'command', '--db', database];
  const entry = join(CHECKOUT, 'src/cli/main.ts');
  const { status, stdout } = spawnSync(process.execPath, [entry, ...args], { encoding: 'utf8' });
  return status === 0 ? { authorization: `Bearer ${stdout.trim()}` } : {};
}

export function commandClient({ url }: Pick<Service, 'url'>, headers: Record<string, string>): CommandClient {
  return {
    async send(body) {
      const response = await fetch(`${url}/api/command`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
      const reply = (await response.json()) as CommandReply & ErrorReply;
      return { status: response.status, headers: response.headers, reply };
    },
    async entries(limit = 100) {
      const response = await fetch(`${url}/api/commands?limit=${limit}`, { headers });
      const { commands } = (await response.json()) as { commands: CommandEntry[] };
      return commands;
    },
  };
}
