import { timeText } from '../shared/clock.ts';
import { BUS_OFF_RESTART_MS, BUS_WORKER_STUCK_MS, BUS_WORKERS_STUCK_MAX } from '../shared/limits.ts';
import type { BusProblem, DriverStatus } from './bus-messages.ts';
import type { BusUrl } from './bus-url.ts';
import { commandText, shellWord } from './socketcan/can-link.ts';

/** Why nothing comes on a bus, as people are told. */

const WIRING = 'wiring and termination (60 ohm between CAN_H and CAN_L without power)';

/** Whether the service brings a controller back that is off the bus: where it may set the interface, and wasn't told how. */
export function isRestartedByService(spec: BusUrl): boolean {
  return spec.kind === 'socketcan' && spec.configure && spec.restartMs === undefined;
}

/** `driver` says what the interface's own restart-ms is. */
export function busOffProblem(
  spec: BusUrl,
  name: string,
  sinceUs: number,
  { restart_ms: restartMs }: DriverStatus,
): BusProblem {
  const interfaceName = spec.kind === 'socketcan' ? spec.interfaceName : name;
  const restart = commandText(interfaceName, [['type', 'can', 'restart']]);
  const back =
    Number(restartMs) > 0
      ? `The kernel restarts it after ${restartMs} ms.`
      : isRestartedByService(spec)
        ? `The service restarts it every ${BUS_OFF_RESTART_MS} ms.`
        : `Restart it with: ${restart}; for good: restart_ms=100 in the URL of the bus.`;
  return {
    code: 'BUS_OFF',
    message:
      `The controller of ${interfaceName} has left the bus at ${timeText(sinceUs / 1000)}: too many of the frames that it sent were ` +
      `errors. ${back} See that all nodes have one bitrate, and look at ${WIRING}.`,
  };
}

export function silenceProblem(
  spec: BusUrl,
  name: string,
  sinceMs: number,
  usualPauseMs: number,
  reopens: number,
): BusProblem {
  const interfaceName = spec.kind === 'socketcan' ? spec.interfaceName : name;
  const cure =
    reopens === 0
      ? ''
      : ` The bus was opened anew, ${reopens === 1 ? 'once' : `${reopens} times`}, without anything changing.`;
  return {
    code: 'BUS_SILENT',
    message:
      `Nothing has come on ${interfaceName} since ${timeText(sinceMs)}, although it is up; before that, no pause was longer than ` +
      `${Math.ceil(usualPauseMs) / 1000} s.${cure} See that the vehicle and its other nodes are switched on, and look at ${WIRING}. ` +
      `If "candump ${shellWord(interfaceName)}" shows nothing either and others do hear frames, take the interface down and up again.`,
  };
}

export const WORKER_ENDED: BusProblem = {
  code: 'BUS_WORKER_DIED',
  message: "The bus's thread ended unasked; it is started again.",
};

const STUCK_FOR = `The bus's thread gave no sign of life for ${BUS_WORKER_STUCK_MS / 1000} s`;

export const WORKER_STUCK: BusProblem = {
  code: 'BUS_WORKER_STUCK',
  message: `${STUCK_FOR}: it is left to itself, and another is started.`,
};

export const WORKERS_STUCK: BusProblem = {
  code: 'BUS_WORKER_STUCK',
  message:
    `${STUCK_FOR}, as ${BUS_WORKERS_STUCK_MAX - 1} others before: they wait in the kernel, whose driver of the interface may hang ` +
    '(see dmesg). When one of them ends the bus is opened again; else restart the machine.',
};
