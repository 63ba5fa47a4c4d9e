import { FRAME_FLAG } from '../../src/bus/can-frame.ts';
import type { FrameBatch } from '../../src/bus/frame-batch.ts';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).toUpperCase().padStart(2, '0'));

/** Writes a batch as `candump -l` does, one line a frame. */
export function candumpLog(batch: FrameBatch, channel = 'can0'): string {
  let text = '';
  for (let index = 0; index < batch.count; index++) text += candumpLine(batch, index, channel);
  return text;
}

function candumpLine(batch: FrameBatch, index: number, channel: string): string {
  const timestampUs = batch.timestampUs[index]!;
  const seconds = Math.floor(timestampUs / 1_000_000);
  const microseconds = String(timestampUs - seconds * 1_000_000).padStart(6, '0');
  const flags = batch.flags[index]!;
  const canId = batch.canId[index]!;
  const isLong = (flags & (FRAME_FLAG.EXTENDED | FRAME_FLAG.ERROR)) !== 0;
  const idWord = (flags & FRAME_FLAG.ERROR) !== 0 ? canId + 0x2000_0000 : canId;
  const id = idWord
    .toString(16)
    .toUpperCase()
    .padStart(isLong ? 8 : 3, '0');
  let data = '';
  if ((flags & FRAME_FLAG.REMOTE) !== 0) data = 'R';
  else for (const byte of batch.payloadOf(index)) data += HEX[byte];
  return `(${seconds}.${microseconds}) ${channel} ${id}#${data}\n`;
}
