import { readlinkSync } from 'node:fs';
import os from 'node:os';

/** Gives a thread a tenth of what an equal would get (sched(7)), and all that nobody else wants. */
const NICE_STEPS = 10;
const NICE_MAX = os.constants.priority.PRIORITY_LOW;

/**
 * Lets the other threads of the process go ahead of the calling one where processors are short: Linux has a nice
 * value for each thread. Elsewhere, and where it isn't allowed, the thread stays an equal.
 */
export function yieldToOtherThreads(): void {
  try {
    // Such as 4711/task/4713; setpriority(2) takes the id of a thread as it does that of a process.
    const threadId = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    os.setPriority(threadId, Math.min(os.getPriority(threadId) + NICE_STEPS, NICE_MAX));
  } catch {
    // Not Linux, or a sandbox.
  }
}
