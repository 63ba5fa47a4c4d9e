import { closeSync, openSync, writeSync } from 'node:fs';
import { FrameBatch } from '../../src/bus/frame-batch.ts';
import { candumpLog } from '../../test/support/candump-log.ts';

/** A STATUS of MOTORS, whose RPM is sent as UINT16. */
const STATUS_OF_MOTORS = 0x48;
const RPM = 1;
const UINT16 = 0x40;
const CAN_ID = 2;

/** So many motors, each of which tells its speed so often, evenly over a time. */
export interface LiveLog {
  readonly signals: number;
  readonly hz: number;
  readonly fromUs: number;
  readonly seconds: number;
}

export function writeLiveLog(path: string, { signals, hz, fromUs, seconds }: LiveLog): void {
  const batch = FrameBatch.allocate(signals);
  const fd = openSync(path, 'w');
  const rounds = seconds * hz;
  for (let round = 0; round < rounds; round++) {
    batch.clear();
    for (let signal = 0; signal < signals; signal++) {
      const atUs = fromUs + Math.round(((round + signal / signals) * 1e6) / hz);
      const rpm = Math.round(2000 + 1500 * Math.sin(round / hz / 3 + signal));
      batch.push(atUs, CAN_ID, 0, [STATUS_OF_MOTORS, 0, signal, RPM, UINT16, 0, rpm >> 8, rpm & 0xff]);
    }
    writeSync(fd, candumpLog(batch));
  }
  closeSync(fd);
}

/** The key of one of them: the kart's four have names, the others numbers. */
export function liveSignal(index: number): string {
  return `MOTORS/COMPONENT_${index}/RPM`;
}
