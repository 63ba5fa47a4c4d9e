import type { NetworkRights } from '../bus/socketcan/network-rights.ts';
import type { BusConfig } from '../config/schema.ts';
import { SOCKET_RECEIVE_BUFFER_BYTES } from '../shared/limits.ts';
import { bytesText, type Check, ok, problem, readSystemFile, warning } from './check.ts';

const IN_UNIT =
  'AmbientCapabilities=CAP_NET_ADMIN in the [Service] section of the systemd unit, then: sudo systemctl daemon-reload';

/** What CAP_NET_ADMIN gives, and what its lack costs. `whose` says whose rights they are. */
export function checkPermissions(
  buses: readonly BusConfig[],
  rights: NetworkRights,
  whose: string,
  root = '/',
): Check[] {
  const checks = [receiveBuffer(rights, whose, root)];
  const configured = buses.filter(({ spec }) => spec.kind === 'socketcan' && spec.configure);
  if (configured.length > 0) {
    const names = configured.map(({ name }) => name).join(', ');
    checks.push(
      rights.isPassedOn
        ? ok('configure', `${whose} may set the interface of ${names}`)
        : problem(
            'configure',
            rights.isAdmin
              ? `${whose} has CAP_NET_ADMIN, but doesn't pass it on to ip`
              : `${whose} has no CAP_NET_ADMIN`,
            `the right to set the interface of ${names} (configure=on)`,
            IN_UNIT,
            'Or bring the interface up otherwise, and leave configure=on out of the URL.',
          ),
    );
  }
  return checks;
}

function receiveBuffer({ isAdmin }: NetworkRights, whose: string, root: string): Check {
  const wanted = bytesText(SOCKET_RECEIVE_BUFFER_BYTES);
  if (isAdmin) return ok('receive buffer', `${wanted} per bus (${whose} has CAP_NET_ADMIN)`);
  const allowedBytes = Number(readSystemFile(root, 'proc/sys/net/core/rmem_max') ?? Number.NaN);
  if (allowedBytes >= SOCKET_RECEIVE_BUFFER_BYTES) return ok('receive buffer', `${wanted} per bus`);
  const allowed = Number.isNaN(allowedBytes) ? 'less' : bytesText(allowedBytes);
  return warning(
    'receive buffer',
    `${allowed} per bus (${whose} has no CAP_NET_ADMIN): a long stall loses frames sooner`,
    wanted,
    IN_UNIT,
    `Or: sudo sysctl -w net.core.rmem_max=${SOCKET_RECEIVE_BUFFER_BYTES}`,
  );
}
