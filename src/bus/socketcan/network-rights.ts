import { readFileSync } from 'node:fs';

/** CAP_NET_ADMIN of linux/capability.h: the bit that lets a process configure networks. */
const CAP_NET_ADMIN = 12n;

export interface NetworkRights {
  /** The process itself has CAP_NET_ADMIN: it may have a receive buffer beyond net.core.rmem_max. */
  readonly isAdmin: boolean;
  /** So have the programs that it starts, as `ip`. A capability of a file isn't passed on, an ambient one is. */
  readonly isPassedOn: boolean;
}

/** The rights of a process; of none where there is no such process or no Linux. */
export function networkRights(pid: number | 'self' = 'self'): NetworkRights {
  try {
    return rightsOf(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return { isAdmin: false, isPassedOn: false };
  }
}

/** The rights that /proc/PID/status tells (proc(5), capabilities(7)). */
export function rightsOf(status: string): NetworkRights {
  const has = (set: string) => {
    const bits = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
    return bits !== undefined && ((BigInt(`0x${bits}`) >> CAP_NET_ADMIN) & 1n) === 1n;
  };
  // Real, effective, saved and file system user id.
  const isRoot = /^Uid:\s*\d+\s+0\s/m.test(status);
  const isAdmin = has('CapEff');
  return { isAdmin, isPassedOn: isAdmin && (isRoot ? has('CapBnd') : has('CapAmb')) };
}
