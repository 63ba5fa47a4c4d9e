import { readFileSync } from 'node:fs';

/**
 * Raw sockets that listen to all of an interface's frames, as the kernel's list of receivers has them: candump doesn't
 * say when it listens. The list names interfaces without receivers too.
 */
export function rawSocketsOn(interfaceName: string): number {
  const text = readFileSync('/proc/net/can/rcvlist_all', 'utf8');
  return text.split('\n').filter((line) => line.trim().startsWith(interfaceName) && line.includes('raw'))
    .length;
}
