import { BusError, errorMessage } from '../../shared/errors.ts';
import { BUS_OFF_RESTART_MS } from '../../shared/limits.ts';
import { hasLinkSettings, type SocketCanUrl } from '../bus-url.ts';
import { bringUpText, interfaceState, isVirtualName } from './can-interfaces.ts';
import {
  type CanLink,
  commandText,
  differencesText,
  type LinkCommand,
  linkCommands,
  linkDifferences,
} from './can-link.ts';
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
  #restartWarning: string | null = null;
  /** By performance.now(). */
  #restartFailedMs = 0;
  #timesRestarted = 0;
  /** As it was found last. */
  #link: CanLink | null = null;

  constructor(url: SocketCanUrl) {
    this.#url = url;
  }

  /**
   * Before the bus is opened, as an interface is set while it is down. Throws BusError INTERFACE_DOWN where it
   * is down and stays so; one that is missing is left to the caller.
   */
  bringUp(): void {
    this.#restartWarning = null;
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
    const hasWishes = fd === 'on' || hasLinkSettings(this.#url);
    // A virtual bus has nothing that is worth the time of a process.
    if (!hasWishes && isVirtualName(interfaceName)) return;
    try {
      const link = readLink(interfaceName);
      this.#link = link;
      const differences = hasWishes ? linkDifferences(link, this.#url) : [];
      if (differences.length === 0) return;
      const commands = linkCommands(link, this.#url);
      const mend = commands.length === 0 ? '' : `. Set it with: ${commandText(interfaceName, commands)}`;
      this.#warning = `${interfaceName} is not as its URL says: ${differencesText(differences)}${mend}`;
    } catch (error) {
      this.#link = null;
      if (hasWishes)
        this.#warning = `Whether ${interfaceName} is as its URL says isn't known: ${errorMessage(error)}.`;
    }
  }

  /** Whether the controller was off the bus when the interface was looked at last. */
  get isBusOff(): boolean {
    return this.#link?.isUp === true && this.#link.controllerState === 'BUS-OFF';
  }

  /** Restarts a controller that is off the bus. Never throws: where it fails the warning says why. */
  restart(): void {
    const { interfaceName } = this.#url;
    const command: LinkCommand = ['type', 'can', 'restart'];
    try {
      if (!networkRights().isPassedOn) throw new BusError('BUS_OFF', RIGHT_NEEDED);
      setLink(interfaceName, command);
      this.#timesRestarted++;
      this.#restartWarning = null;
    } catch (error) {
      this.#restartFailedMs = performance.now();
      const byHand = commandText(interfaceName, [command]);
      this.#restartWarning = `The controller of ${interfaceName} is off the bus and can't be restarted: ${errorMessage(error)}. By hand: ${byHand}`;
    }
  }

  /** It is tried as long as the controller is off the bus, so a failure that isn't followed by another is over. */
  get #isRestartFailing(): boolean {
    return performance.now() - this.#restartFailedMs < 4 * BUS_OFF_RESTART_MS;
  }

  status(): Record<string, number | string | null> {
    return {
      warning: (this.#isRestartFailing ? this.#restartWarning : null) ?? this.#warning,
      interface_configured: this.#timesConfigured,
      configured_with: this.#configuredWith,
      controller_restarts: this.#timesRestarted,
      restart_ms: this.#link?.restartMs ?? null,
      bitrate: this.#link?.bitTiming?.bitrateBitPerS ?? null,
      data_bitrate: this.#link?.dataBitTiming?.bitrateBitPerS ?? null,
    };
  }

  #configure(isUp: boolean): void {
    const { interfaceName } = this.#url;
    const { isPassedOn } = networkRights();
    if (!isUp && !isPassedOn) {
      throw new BusError(
        'INTERFACE_DOWN',
        `The CAN interface ${interfaceName} is down, and ${RIGHT_NEEDED}. Bring it up with: ${bringUpText(this.#url)}`,
      );
    }
    let commands: LinkCommand[] = [];
    let found = '';
    try {
      const link = readLink(interfaceName);
      this.#link = link;
      found = differencesText(linkDifferences(link, this.#url));
      commands = linkCommands(link, this.#url);
      if (commands.length > 0) {
        if (!isPassedOn) throw new BusError('BUS_UNAVAILABLE', RIGHT_NEEDED);
        for (const command of commands) setLink(interfaceName, command);
        this.#timesConfigured++;
        this.#configuredWith = commandText(interfaceName, commands);
        this.#link = readLink(interfaceName);
        found = differencesText(linkDifferences(this.#link, this.#url));
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
        'INTERFACE_DOWN',
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
