/** How much of a broken line is told. */
const EXAMPLE_BYTES_MAX = 80;

/** A line as it is told to people: its beginning, with a dot for what they couldn't read. */
export function exampleOf(bytes: Uint8Array, start: number, end: number): string {
  const part = Buffer.from(bytes.subarray(start, Math.min(end, start + EXAMPLE_BYTES_MAX)));
  const text = part
    .toString('latin1')
    .trimEnd()
    .replace(/[^ -~]/g, '.');
  return `${text}${end - start > EXAMPLE_BYTES_MAX ? '…' : ''}`;
}
