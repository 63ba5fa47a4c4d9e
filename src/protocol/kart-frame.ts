import { FRAME_FLAG } from '../bus/can-frame.ts';
import type { FrameBatch } from '../bus/frame-batch.ts';
import { KART_PAYLOAD_BYTES } from './kart-codec.ts';

/** Whether a frame of a batch is a kart message: classic, of an 11-bit id and 8 bytes; our own are, too. */
export function isKartFrame({ flags, payloadBytes }: FrameBatch, at: number): boolean {
  return (flags[at]! & ~FRAME_FLAG.OWN) === 0 && payloadBytes[at] === KART_PAYLOAD_BYTES;
}

/** Bytes 0 to 3 of a payload as a batch's payloadWords have them: so messages are found by one comparison a frame. */
export function wordOf(...bytes: readonly [number, number, number, number]): number {
  const word = new Int32Array(1);
  new Uint8Array(word.buffer).set(bytes);
  return word[0]!;
}
