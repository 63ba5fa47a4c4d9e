import { spawnSync } from 'node:child_process';
import { BusError, errorCode, errorMessage } from '../../shared/errors.ts';
import { IP_COMMAND_TIMEOUT_MS, IP_OUTPUT_BYTES_MAX } from '../../shared/limits.ts';
import { type CanLink, type LinkCommand, parseLink } from './can-link.ts';

/**
 * Network interfaces through iproute2's `ip`. It is started without a shell and waited for: what calls this may
 * stand still, as a bus worker may that has nothing to read yet.
 *
 * All throw BusError: IP_MISSING, IP_FAILED with what ip said, LINK_UNKNOWN where that isn't understood.
 */

/** An interface as it is, with its counters. */
export function readLink(interfaceName: string): CanLink {
  const words = ['-json', '-details', '-statistics', 'link', 'show', 'dev', interfaceName];
  return parseLink(runIp(words), interfaceName);
}

/** Changes an interface; needs CAP_NET_ADMIN. */
export function setLink(interfaceName: string, command: LinkCommand): void {
  runIp(['link', 'set', 'dev', interfaceName, ...command]);
}

function runIp(words: readonly string[]): string {
  const { error, status, signal, stdout, stderr } = spawnSync('ip', words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: IP_COMMAND_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: IP_OUTPUT_BYTES_MAX,
  });
  if (status === 0 && error === undefined) return stdout;
  if (error !== undefined && errorCode(error) === 'ENOENT') {
    throw new BusError('IP_MISSING', 'the program ip is not there: sudo apt install iproute2', {
      cause: error,
    });
  }
  const said = stderr?.trim().split('\n')[0];
  const why =
    error !== undefined && errorCode(error) === 'ETIMEDOUT'
      ? `it did not end within ${IP_COMMAND_TIMEOUT_MS} ms`
      : said || (error === undefined ? `it ended with ${status ?? signal}` : errorMessage(error));
  throw new BusError('IP_FAILED', `ip ${words.join(' ')} failed: ${why}`, { cause: error });
}
