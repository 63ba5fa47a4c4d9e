import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { ApiInstance } from '../instance.ts';
import type { ApiSecurity } from './api-security.ts';
import { createGuardedServer } from './http-server.ts';

/**
 * localhost has an address of IPv4 and one of IPv6, and clients take either: listens on the one that the instance doesn't.
 * (Fastify does so for servers of its own making alone.)
 */
export async function listenOnOtherLoopback(instance: ApiInstance, security: ApiSecurity): Promise<void> {
  const main = instance.server;
  const { address, port } = main.address() as AddressInfo;
  const addresses = await lookup('localhost', { all: true });
  for (const other of new Set(addresses.map((found) => found.address))) {
    if (other === address) continue;
    const server = createGuardedServer(security, (request, reply) => instance.routing(request, reply));
    server.on('upgrade', (...upgrade) => main.emit('upgrade', ...upgrade));
    server.listen({ host: other, port });
    try {
      await once(server, 'listening');
    } catch {
      // A name may stand for an address that the machine doesn't have; one of them is enough.
      continue;
    }
    main.once('close', () => {
      server.close();
      server.closeAllConnections();
    });
  }
}
