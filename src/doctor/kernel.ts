import {
  AF_CAN,
  CAN_RAW,
  errnoName,
  lastErrno,
  linuxCalls,
  SOCK_CLOEXEC,
  SOCK_RAW,
} from '../bus/socketcan/linux.ts';
import { errorMessage } from '../shared/errors.ts';
import { type Check, ok, problem, readSystemFile } from './check.ts';

/** Modules that have to do with CAN; drivers of adapters among them. */
const CAN_MODULE = /^(can|vcan|vxcan|slcan|mcp251|gs_usb|peak_|kvaser|esd_|ems_|m_can|c_can|flexcan|sja1000)/;

/** Whether the kernel has CAN at all. Opening a socket loads its modules where they can be loaded. */
export function checkKernel(root = '/', openSocket = openCanSocket): Check {
  const failure = openSocket();
  const modules = (readSystemFile(root, 'proc/modules') ?? '')
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((name) => CAN_MODULE.test(name));
  if (failure === null) {
    return ok('CAN sockets', modules.length === 0 ? 'built into the kernel' : modules.sort().join(', '));
  }
  return problem(
    'CAN sockets',
    failure,
    'a kernel with the modules can and can_raw',
    'sudo modprobe can_raw',
    'printf "can\\ncan_raw\\n" | sudo tee /etc/modules-load.d/can.conf   # loads them at every boot',
    'Where modprobe finds no such module, the kernel comes without them: on Ubuntu ' +
      'sudo apt install linux-modules-extra-$(uname -r); in a container they are to be loaded on the host.',
  );
}

/** Why no CAN_RAW socket can be opened; null where one can. */
function openCanSocket(): string | null {
  try {
    const linux = linuxCalls();
    const fd = linux.socket(AF_CAN, SOCK_RAW | SOCK_CLOEXEC, CAN_RAW);
    if (fd < 0) return `the kernel gives none (${errnoName(lastErrno())})`;
    linux.close(fd);
    return null;
  } catch (error) {
    return errorMessage(error);
  }
}
