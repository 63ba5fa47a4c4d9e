import { BusError, errorMessage } from '../shared/errors.ts';
import { hasLinkSettings, type SocketCanUrl } from './bus-url.ts';
import { bringUpText, interfaceState } from './can-interfaces.ts';
import { commandText, differencesText, type LinkCommand, linkCommands, linkDifferences } from './can-link.ts';
import { readLink, setLink } from './ip-link.ts';
import { networkRights } from './network-rights.ts';

/** What would let the service do it by itself. */
const RIGHT_NEEDED =
  'the service lacks CAP_NET_ADMIN (AmbientCapabilities=CAP_NET_ADMIN in its systemd unit gives it)';

/**
 * Sees to it that one CAN interface is up and as its URL says: brings it up and sets it where the URL has
 * `configure=on` and the process has the right, else says the command that does. It runs each time the bus is
 * opened, so an interface that was unplugged and came back is brought up again.
 */
export class LinkSetup {
  readonly #url: SocketCanUrl;
  /** What isn't as wanted although the bus can be read, with the command that mends it. */
  #warning: string | null = null;
  #timesConfigured = 0;
  #configuredWith: string | null = null;

  constructor(url: SocketCanUrl) {
    this.#url = url;
  }

  /**
   * Before the bus is opened, as an interface is set while it is down. Throws BusError BUS_UNAVAILABLE where it
   * is down and stays so; one that is missing is left to the caller.
   */
  bringUp(): void {
    if (!this.#url.configure) return;
    this.#warning = null;
    const state = interfaceState(this.#url.interfaceName);
    if (state === 'up' || state === 'down') this.#configure(state === 'up');
  }

  /** Once the bus is open: what was sent meanwhile waits in the socket. */
  check(): void {
    if (this.#url.configure) return;
    this.#warning = null;
    const { interfaceName, fd } = this.#url;
    if (fd !== 'on' && !hasLinkSettings(this.#url)) return;
    try {
      const link = readLink(interfaceName);
      const differences = linkDifferences(link, this.#url);
      if (differences.length === 0) return;
      const commands = linkCommands(link, this.#url);
      const mend = commands.length === 0 ? '' : `. Set it with: ${commandText(interfaceName, commands)}`;
      this.#warning = `${interfaceName} is not as its URL says: ${differencesText(differences)}${mend}`;
    } catch (error) {
      this.#warning = `Whether ${interfaceName} is as its URL says isn't known: ${errorMessage(error)}.`;
    }
  }

  status(): Record<string, number | string | null> {
    return {
      warning: this.#warning,
      interface_configured: this.#timesConfigured,
      configured_with: this.#configuredWith,
    };
  }

  #configure(isUp: boolean): void {
    const { interfaceName } = this.#url;
    const { isPassedOn } = networkRights();
    if (!isUp && !isPassedOn) {
      throw new BusError(
        'BUS_UNAVAILABLE',
        `The CAN interface ${interfaceName} is down, and ${RIGHT_NEEDED}. Bring it up with: ${bringUpText(this.#url)}`,
      );
    }
    let commands: LinkCommand[] = [];
    let found = '';
    try {
      const link = readLink(interfaceName);
      found = differencesText(linkDifferences(link, this.#url));
      commands = linkCommands(link, this.#url);
      if (commands.length > 0) {
        if (!isPassedOn) throw new BusError('BUS_UNAVAILABLE', RIGHT_NEEDED);
        for (const command of commands) setLink(interfaceName, command);
        this.#timesConfigured++;
        this.#configuredWith = commandText(interfaceName, commands);
        found = differencesText(linkDifferences(readLink(interfaceName), this.#url));
      }
      if (found !== '') this.#warning = `${interfaceName} can't be as its URL says: ${found}`;
    } catch (error) {
      this.#failed(errorMessage(error), isUp, found, commands);
    }
  }

  /** A bus that was up is better read as it was than not at all. */
  #failed(why: string, wasUp: boolean, found: string, commands: readonly LinkCommand[]): void {
    const { interfaceName } = this.#url;
    const mend = commands.length === 0 ? bringUpText(this.#url) : commandText(interfaceName, commands);
    if (!wasUp) {
      throw new BusError(
        'BUS_UNAVAILABLE',
        `The CAN interface ${interfaceName} is down and can't be brought up: ${why}. By hand: ${mend}`,
      );
    }
    if (interfaceState(interfaceName) === 'down') {
      try {
        setLink(interfaceName, ['up']);
      } catch {
        // Then it is unavailable, and tried again as one that is down.
      }
    }
    const what = found === '' ? '' : `${found}; `;
    this.#warning = `${interfaceName} can't be set as its URL says: ${what}${why}. By hand: ${mend}`;
  }
}
