import koffi from 'koffi';

/** Size of `struct timex` of linux/timex.h on 64-bit systems, and where its `status` is. */
const TIMEX_BYTES = 208;
const TIMEX_STATUS_OFFSET = 40;
/** The kernel's clock isn't synchronised. */
const STA_UNSYNC = 0x40;

/**
 * Whether somebody keeps the kernel's clock to that of others, whichever daemon it is (adjtimex(2)); null where
 * the kernel can't be asked.
 */
export function isClockSynchronized(): boolean | null {
  if (process.platform !== 'linux') return null;
  try {
    const adjtimex = koffi.load(null).func('int adjtimex(_Inout_ void *buffer)');
    // All zeros: nothing is changed.
    const timex = new Uint8Array(TIMEX_BYTES);
    if (adjtimex(timex) < 0) return null;
    return (new DataView(timex.buffer).getInt32(TIMEX_STATUS_OFFSET, true) & STA_UNSYNC) === 0;
  } catch {
    return null;
  }
}
