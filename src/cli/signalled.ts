/**
 * The first signal that asks to stop. Later ones are the same wish: a terminal and npm both pass Ctrl+C
 * on, and a stop that is already under way has a deadline of its own.
 */
export function signalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.on('SIGTERM', resolve);
    process.on('SIGINT', resolve);
  });
}
