/** Calls `action` when the signal is given; gives what ends that. */
export function onAbort(signal: AbortSignal | undefined, action: (reason: unknown) => void): () => void {
  const listener = () => action(signal!.reason);
  signal?.addEventListener('abort', listener);
  return () => signal?.removeEventListener('abort', listener);
}

/** Waits; throws the signal's reason as soon as that is given. */
export async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopListening = () => {};
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(resolve, ms);
      stopListening = onAbort(signal, reject);
    });
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}
