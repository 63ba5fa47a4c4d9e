import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Cleanup } from './temporary-directory.ts';

/** What a reverse proxy does that gives a service a path of its own, and takes it away from what it passes on. */
export interface PrefixProxy {
  /** With the path, and a slash at its end. */
  readonly url: string;
  /** Paths that it was asked for outside its own. */
  readonly strays: readonly string[];
  /** Upgrades that it has passed on, or refused. */
  readonly upgrades: { passed: number; refused: number };
}

export async function startPrefixProxy(
  test: Cleanup,
  target: string,
  prefix: string,
  options: { readonly passesUpgrades: boolean },
): Promise<PrefixProxy> {
  const { hostname, port } = new URL(target);
  const strays: string[] = [];
  const upgrades = { passed: 0, refused: 0 };
  /** Null for what isn't below the prefix. */
  const inner = (url: string): string | null => {
    if (url.startsWith(`${prefix}/`)) return url.slice(prefix.length);
    strays.push(url);
    return null;
  };
  const server = createServer((asked, answer) => {
    const path = inner(asked.url!);
    if (path === null) {
      answer.writeHead(404).end();
      return;
    }
    const passed = request({ hostname, port, path, method: asked.method, headers: asked.headers }, (got) => {
      answer.writeHead(got.statusCode!, got.headers);
      got.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    answer.on('close', () => passed.destroy());
    asked.pipe(passed);
  });
  server.on('upgrade', (asked, client, head) => {
    client.on('error', () => client.destroy());
    const path = inner(asked.url!);
    if (path === null || !options.passesUpgrades) {
      upgrades.refused++;
      client.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    upgrades.passed++;
    const service = connect(Number(port), hostname);
    const headers = Object.entries(asked.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    service.write(`GET ${path} HTTP/1.1\r\n${headers.join('')}\r\n`);
    service.write(head);
    service.on('error', () => client.destroy());
    service.on('close', () => client.destroy());
    client.on('close', () => service.destroy());
    service.pipe(client);
    client.pipe(service);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}/`, strays, upgrades };
}
