import { pino } from 'pino';
import { Bus } from '../bus/bus.ts';
import type { SocketCanUrl } from '../bus/bus-url.ts';
import { FRAME_FLAG } from '../bus/can-frame.ts';
import {
  bringUpText,
  canInterfaceNames,
  interfaceState,
  isVirtualName,
} from '../bus/socketcan/can-interfaces.ts';
import {
  type CanLink,
  commandText,
  type LinkWanted,
  linkCommands,
  linkDifferences,
  shellWord,
} from '../bus/socketcan/can-link.ts';
import { readLink } from '../bus/socketcan/ip-link.ts';
import { errorMessage } from '../shared/errors.ts';
import { DOCTOR_LISTEN_MS, DOCTOR_OPEN_TIMEOUT_MS } from '../shared/limits.ts';
import { type Check, ok, problem, warning } from './check.ts';

/** A queue of 10 frames, as the kernel gives it, is full within 2 ms at 500 kbit/s. */
const TX_QUEUE_FRAMES_KERNEL = 10;
const TX_QUEUE_FRAMES_USUAL = 1000;
const RESTART_MS_USUAL = 100;

const WIRING =
  'Measure between CAN_H and CAN_L without power: 60 ohm, two terminators of 120 ohm at the ends of the bus.';

/** One CAN interface, from its being there to the frames that arrive. It changes nothing. */
export async function checkCanBus(spec: SocketCanUrl, isCollectorRunning: boolean): Promise<Check[]> {
  const { interfaceName } = spec;
  const state = interfaceState(interfaceName);
  if (state === 'missing' || state === 'not-can') return [missing(spec, state)];

  const checks: Check[] = [];
  if (state === 'up') checks.push(ok('interface', `${interfaceName} is up`));
  else checks.push(down(spec, isCollectorRunning));
  try {
    checks.push(...checkLink(readLink(interfaceName), spec));
  } catch (error) {
    checks.push(
      warning(
        'settings',
        errorMessage(error),
        'to know them',
        'sudo apt install iproute2   # bitrate, error counters and queue are asked of its program ip',
      ),
    );
  }
  if (state === 'up') checks.push(...(await checkTraffic(spec)));
  return checks;
}

function missing(spec: SocketCanUrl, state: 'missing' | 'not-can'): Check {
  const { interfaceName } = spec;
  const others = canInterfaceNames();
  const instead =
    others.length === 0 ? 'this machine has no CAN interface' : `CAN interfaces here: ${others.join(', ')}`;
  const expected = `a CAN interface ${interfaceName}`;
  if (state === 'not-can') {
    return problem(
      'interface',
      `${interfaceName} is no CAN bus; ${instead}`,
      expected,
      'Name another in the URL of the bus.',
    );
  }
  const remedies = isVirtualName(interfaceName)
    ? ['sudo modprobe vcan', `sudo ip link add ${shellWord(interfaceName)} type vcan`, bringUpText(spec)]
    : [
        'Connect the adapter, and see what its driver says: sudo dmesg | grep -iE "can|mcp251|gs_usb"',
        'A board on SPI needs its overlay in /boot/firmware/config.txt: dtoverlay=mcp2515-can0,oscillator=12000000,interrupt=25',
        `Then: ${bringUpText(spec)}`,
      ];
  return problem('interface', `there is none; ${instead}`, expected, ...remedies);
}

function down(spec: SocketCanUrl, isCollectorRunning: boolean): Check {
  const found = `${spec.interfaceName} is down`;
  if (spec.configure && !isCollectorRunning) {
    return warning('interface', found, 'up', 'The service brings it up when it starts (configure=on).');
  }
  return problem('interface', found, 'up', bringUpText(spec));
}

/** What ip tells of an interface that is there. */
export function checkLink(link: CanLink, wanted: LinkWanted): Check[] {
  const checks = [settings(link, wanted)];
  // A virtual bus has nothing of what follows.
  if (link.kind !== 'can') return checks;
  checks.push(controller(link));
  const isListener = link.modes.includes('LISTEN-ONLY');
  if (link.restartMs === 0 && wanted.restartMs === undefined && !isListener) {
    checks.push(
      warning(
        'restart-ms',
        '0: after a bus-off the controller stays off until somebody restarts it',
        `${RESTART_MS_USUAL}`,
        mendingText(link, wanted, { restartMs: RESTART_MS_USUAL }),
        `Or for good: restart_ms=${RESTART_MS_USUAL}&configure=on in the URL of the bus.`,
      ),
    );
  }
  if (link.txQueueFrames === TX_QUEUE_FRAMES_KERNEL && wanted.txQueueFrames === undefined && !isListener) {
    checks.push(
      warning(
        'txqueuelen',
        `${TX_QUEUE_FRAMES_KERNEL}: more frames at once than that can't be sent`,
        `${TX_QUEUE_FRAMES_USUAL}`,
        mendingText(link, wanted, { txQueueFrames: TX_QUEUE_FRAMES_USUAL }),
        `Or for good: txqueuelen=${TX_QUEUE_FRAMES_USUAL}&configure=on in the URL of the bus.`,
      ),
    );
  }
  return checks;
}

/** The command that changes one setting of an interface that keeps the others. */
function mendingText(link: CanLink, wanted: LinkWanted, change: Partial<LinkWanted>): string {
  const { interfaceName, fd } = wanted;
  return commandText(interfaceName, linkCommands(link, { interfaceName, fd, ...change }));
}

function settings(link: CanLink, wanted: LinkWanted): Check {
  const differences = linkDifferences(link, wanted);
  if (differences.length > 0) {
    const commands = linkCommands(link, wanted);
    const remedies = commands.length === 0 ? [] : [commandText(link.name, commands)];
    const isHarmless = differences.every(({ what }) => what === 'txqueuelen' || what === 'restart-ms');
    return (isHarmless ? warning : problem)(
      'settings',
      differences.map(({ what, found }) => `${what} ${found}`).join(', '),
      differences.map(({ what, expected }) => `${what} ${expected}`).join(', '),
      ...remedies,
      ...(wanted.bitrateBitPerS === undefined
        ? []
        : ['All nodes of a bus have one bitrate: see that it is the URL that is right.']),
    );
  }
  if (link.kind !== 'can') return ok('settings', `${link.kind ?? 'unknown kind'}, MTU ${link.mtu}`);
  if (link.bitTiming === null) {
    const up = commandText(link.name, linkCommands(link, wanted));
    return problem('settings', 'the controller has no bitrate', 'one', up);
  }
  const { bitrateBitPerS, samplePoint } = link.bitTiming;
  const facts = [
    `${bitrateBitPerS} bit/s${wanted.bitrateBitPerS === undefined ? ' (the URL names none)' : ''}`,
    ...(samplePoint === null ? [] : [`sample point ${samplePoint}`]),
    ...(link.dataBitTiming === null ? [] : [`data ${link.dataBitTiming.bitrateBitPerS} bit/s`]),
    ...link.modes,
  ];
  return ok('settings', facts.join(', '));
}

function controller(link: CanLink): Check {
  const { controllerState, errorCounts, busErrors, busOffs } = link;
  const found = [
    controllerState ?? 'state not told',
    ...(errorCounts === null ? [] : [`errors: ${errorCounts.tx} sending, ${errorCounts.rx} receiving`]),
    ...(busErrors ? [`${busErrors} bus errors in all`] : []),
    ...(busOffs ? [`off the bus ${busOffs} times`] : []),
  ].join(', ');
  if (!link.isUp) return ok('controller', found);
  const alone = 'See that another node is there and powered: alone on a bus nobody acknowledges its frames.';
  const bitrate = 'See that all nodes have the same bitrate and sample point.';
  if (controllerState === 'BUS-OFF') {
    const restart =
      link.restartMs === 0
        ? commandText(link.name, [['type', 'can', 'restart']])
        : `The kernel restarts it after ${link.restartMs} ms; it goes off again.`;
    return problem('controller', found, 'ERROR-ACTIVE', restart, WIRING, bitrate);
  }
  if (controllerState === 'ERROR-PASSIVE' || controllerState === 'ERROR-WARNING') {
    return warning('controller', found, 'ERROR-ACTIVE', WIRING, bitrate, alone);
  }
  if (busOffs) return warning('controller', found, 'never off the bus', WIRING, bitrate);
  return ok('controller', found);
}

/** Listens for a while, as the service would. */
async function checkTraffic(spec: SocketCanUrl): Promise<Check[]> {
  let frames = 0;
  let errorFrames = 0;
  const opened = Promise.withResolvers<void>();
  const bus = new Bus({
    name: spec.interfaceName,
    url: '',
    // To look is not to touch.
    spec: { ...spec, configure: false },
    log: pino({ level: 'silent' }),
    onFrames(batch, release) {
      for (let index = 0; index < batch.count; index++) {
        if ((batch.flags[index]! & FRAME_FLAG.ERROR) === 0) frames++;
        else errorFrames++;
      }
      release();
    },
  });
  const poll = setInterval(() => {
    const { state } = bus.status();
    if (state !== 'starting') opened.resolve();
  }, 10);
  const timer = setTimeout(() => opened.resolve(), DOCTOR_OPEN_TIMEOUT_MS);
  bus.start();
  await opened.promise;
  clearInterval(poll);
  clearTimeout(timer);
  const { state, problem: failure } = bus.status();
  if (state === 'open') await new Promise((resolve) => setTimeout(resolve, DOCTOR_LISTEN_MS));
  const { lastError } = bus.status().controller;
  await bus.stop();
  if (state !== 'open') {
    const found = failure?.message ?? `not open after ${DOCTOR_OPEN_TIMEOUT_MS} ms`;
    return [problem('socket', found, 'one that can be opened')];
  }
  return [ok('socket', 'can be opened'), traffic(spec, frames, errorFrames, lastError?.message)];
}

function traffic(
  spec: SocketCanUrl,
  frames: number,
  errorFrames: number,
  lastError: string | undefined,
): Check {
  const seconds = DOCTOR_LISTEN_MS / 1000;
  const found =
    `${Math.round(frames / seconds)} frames/s` +
    (errorFrames === 0
      ? ''
      : `, ${errorFrames} reports of errors within ${seconds} s, the last of them: ${lastError}`);
  if (frames > 0 && errorFrames === 0) return ok('traffic', found);
  const expected = frames > 0 ? 'no errors' : `frames within ${seconds} s`;
  if (frames === 0 && spec.filters !== undefined && errorFrames === 0) {
    return warning(
      'traffic',
      `${found} that pass the filter of the URL`,
      expected,
      `See what there is without it: candump ${shellWord(spec.interfaceName)}`,
    );
  }
  if (isVirtualName(spec.interfaceName)) {
    return warning('traffic', found, expected, `Send some: cangen ${shellWord(spec.interfaceName)}`);
  }
  return warning(
    'traffic',
    found,
    expected,
    'See that the vehicle is switched on.',
    WIRING,
    'See that the bitrate is that of the other nodes: at another one there are errors, and no frames.',
    'See that CAN_H and CAN_L are not swapped.',
  );
}
