/** Every bound of the client, each with its reason. They are its own: it imports nothing of the service. */

/** How long an answer may take: the history's reader has a queue of 64 queries, and a long one takes a second. */
export const REQUEST_TIMEOUT_MS = 30_000;

/** Samples that history() asks for at once: 200 kB of JSON. */
export const HISTORY_PAGE_SAMPLES = 1000;

/** How often history() asks again for a page that a busy service refused, each time after as long as that says. */
export const BUSY_RETRIES_MAX = 10;

/** The longest line of an export; a sample takes 300 characters. A longer one is no sample, and isn't gathered. */
export const LINE_CHARS_MAX = 64 * 1024;

/** How long a stream may take from the first byte to the service's hello. */
export const STREAM_OPEN_TIMEOUT_MS = 10_000;

/** The service says something each heartbeat; one that said nothing for so many is gone, whatever the socket says. */
export const HEARTBEATS_MISSED_MAX = 2;

/**
 * The wait before a lost stream is tried again, which doubles up to the longest. Half of each is random: the
 * clients of a service that comes back don't all come at once.
 */
export const RETRY_FIRST_MS = 250;
export const RETRY_LONGEST_MS = 15_000;

/** A stream that was open for so long was sound: the next wait is the first again. */
export const STREAM_SOUND_MS = 5000;

/**
 * Samples that updates() holds for a reader that is slow: 10 MB as objects, and ten seconds of the simulated kart. Past
 * them the subscription is given up until the reader has taken them, and then goes on where it was.
 */
export const UPDATES_SAMPLES_MAX = 16_384;
