import { isIP, isIPv6 } from 'node:net';

/**
 * Against DNS rebinding: a web page of evil.example whose name is made to stand for this machine is, to the browser, of one
 * origin with the API, and may read all of it. What gives it away is the name in the Host header.
 *
 * IP addresses can't be rebound, and `localhost` is nobody's to give out (RFC 6761). Beside them the API is called by the
 * machine's own name, alone and in mDNS's .local, by the name that it listens on, and by those of `api.hosts`. The port isn't
 * looked at: it may be a forwarded one.
 */
export class HostCheck {
  readonly #names: ReadonlySet<string>;

  constructor(listensOn: string, machineName: string, furtherNames: readonly string[]) {
    const ownName = machineName.toLowerCase();
    const [shortName = ownName] = ownName.split('.');
    this.#names = new Set([
      listensOn.toLowerCase(),
      ownName,
      `${ownName}.local`,
      shortName,
      `${shortName}.local`,
      ...furtherNames.map((name) => name.toLowerCase()),
    ]);
  }

  /** `header` undefined: HTTP/1.0 without a Host, which no browser speaks. */
  allows(header: string | undefined): boolean {
    if (header === undefined) return true;
    const name = hostName(header);
    if (name === null) return false;
    if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')) return true;
    return this.#names.has(name);
  }
}

/**
 * The name of `name:port`, in small letters and without the dot that may end it; null where there is none. In brackets
 * stands an IPv6 address and nothing else (RFC 3986, 3.2.2).
 */
function hostName(header: string): string | null {
  const [, address, name = ''] = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::\d{1,5})?$/i.exec(header) ?? [];
  if (address !== undefined) return isIPv6(address) ? address : null;
  return name.toLowerCase().replace(/\.$/, '') || null;
}
