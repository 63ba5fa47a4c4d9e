/**
 * Every bound of the data path, in its order. A queue that isn't bounded here isn't allowed to exist;
 * limits.test.ts checks the arithmetic that ties them together.
 */

/** Frames that one batch holds. At 500 kbit/s a bus carries about 4,500 frames/s: a second's worth. */
export const FRAME_BATCH_FRAMES_MAX = 4096;

/** Payloads of more than 8 bytes (CAN FD) that a batch has room for, 32 KiB; then it is full. */
export const FRAME_BATCH_LONG_PAYLOADS_MAX = 512;

/**
 * Frame batches that one bus has, whether with the worker, on the way or with the main thread. When the
 * main thread holds them all, the worker stops reading and frames gather in the kernel's buffer.
 */
export const FRAME_BATCHES_PER_BUS = 8;

/** How long a bus worker lets frames gather in the kernel's buffer after a read that gave some. */
export const FRAME_GATHER_MS = 5;

/** The longest that a frame may wait between its arrival and its batch's departure. */
export const FRAME_BATCH_AGE_MAX_MS = 10;

/** Frames that one recvmmsg call takes from the kernel at most. */
export const FRAMES_PER_SYSTEM_CALL_MAX = 256;

/** Kernel receive buffer asked for per socket, in bytes (the kernel doubles it for its own overhead). */
export const SOCKET_RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024;

/**
 * The first wait before a bus is tried again; it doubles up to the longest, which leaves time within a second to set
 * an interface through `ip`. Where the kernel tells of a change it is tried at once, but no sooner than after the first.
 */
export const BUS_RETRY_FIRST_MS = 100;
export const BUS_RETRY_LONGEST_MS = 500;

/** How often a bus looks whether its interface still has its name and is up, should the kernel not have told. */
export const INTERFACE_CHECK_MS = 500;

/** How often the main thread looks whether a bus's thread still works, and whether its bus has fallen silent. */
export const BUS_WATCH_MS = 1000;

/**
 * A thread that gave no sign of life for so long is stuck, and replaced. Each sets an interface through `ip` at times,
 * which takes 7 s at worst (IP_COMMAND_TIMEOUT_MS for each of four commands).
 */
export const BUS_WORKER_STUCK_MS = 10_000;

/** Stuck threads of a bus that may be waited for: one in a system call that never ends can't be ended from outside. */
export const BUS_WORKERS_STUCK_MAX = 3;

/**
 * How long a controller that is off the bus is left alone before it is restarted, and between two attempts. On a bus
 * that is shorted it goes off again at once, so this bounds what that costs.
 */
export const BUS_OFF_RESTART_MS = 500;

/**
 * A bus is silent when nothing came for so many times its longest pause of the last SILENCE_WINDOW_MS (or twice that),
 * and for SILENCE_MIN_MS at least. Before so many batches have come, what is usual isn't known.
 */
export const SILENCE_PAUSES = 10;
export const SILENCE_MIN_MS = 5000;
export const SILENCE_BATCHES_MIN = 16;
export const SILENCE_WINDOW_MS = 10 * 60_000;

/** From so many silences within the window on they are the bus's usual pauses. */
export const SILENCES_LEARNED = 3;

/**
 * A bus that is silent is opened anew, should its socket be what is deaf: at once, then after the first of these, which
 * doubles up to the longest.
 */
export const SILENCE_REOPEN_FIRST_MS = 60_000;
export const SILENCE_REOPEN_LONGEST_MS = 60 * 60_000;

/** The longest that a bus worker sleeps before it looks at its counters. */
export const BUS_WAIT_MAX_MS = 1000;

/** Filters of one bus: as many as the kernel takes (CAN_RAW_FILTER_MAX of linux/can/raw.h). */
export const CAN_FILTERS_MAX = 512;

/** How long iproute2's `ip` may take; it takes milliseconds, and a stop waits for it. */
export const IP_COMMAND_TIMEOUT_MS = 1500;

/** What `ip` may print of one interface: usually 2 kB. */
export const IP_OUTPUT_BYTES_MAX = 256 * 1024;

/**
 * How fast a controller's clock and the system's may drift apart: half a microsecond in a millisecond. Quartzes differ
 * by 100 ppm; NTP lets the system's clock run 500 ppm faster or slower to set it right (adjtimex(2)).
 */
export const HARDWARE_CLOCK_DRIFT_MAX = 500e-6;

/** Two clocks that seem to be this much further apart than before, in microseconds, are: one was set. USB delays by 10 ms. */
export const HARDWARE_CLOCK_STEP_US = 100_000;

/** Frames that may wait to be sent on one bus. One more is refused with BUS_SEND_QUEUE_FULL. */
export const SEND_QUEUE_FRAMES_MAX = 256;

/** How long a frame waits for room in the interface's queue; 10 frames, the usual queue, need 3 ms. */
export const SEND_DEADLINE_MS = 1000;

/** How often a frame that found no room is tried again: nothing tells of room in the interface's queue. */
export const SEND_RETRY_MS = 2;

/**
 * Nodes of one bus whose round trips are followed; those of further ones are counted. A vehicle has ten, and each PONG
 * makes us send a frame: what one PING can bring must fit the queue of frames to send.
 */
export const TIME_SYNC_NODES_MAX = 64;

/** PINGs that a PONG is still known to answer: a late one is told from one that answers somebody else's. */
export const TIME_SYNC_PINGS_KEPT = 8;

/**
 * The longest round trip that a node's time is set by, in milliseconds: it is taken to be as long there as back, and is
 * wrong by half of it at worst.
 */
export const TIME_SYNC_ROUND_TRIP_MAX_MS = 500;

/** The least and the greatest interval between readings of this machine's health: the kernel counts load in steps of 10 ms. */
export const HOST_INTERVAL_MIN_MS = 100;
export const HOST_INTERVAL_MAX_MS = 3_600_000;

/** The least and the greatest interval between PINGs. */
export const TIME_SYNC_INTERVAL_MIN_MS = 100;
export const TIME_SYNC_INTERVAL_MAX_MS = 5_000;

/**
 * Frames that their senders' byte 1 says to be older than this, in milliseconds, are dated by it. It counts whole
 * milliseconds by another clock, so what is less may be nothing; and a frame waits for its place on a busy bus for less.
 */
export const SOURCE_DELAY_MIN_MS = 10;

/**
 * How long after a node's time was set its byte 1 is gone by, in milliseconds: so long its clock and ours drift apart by
 * less than SOURCE_DELAY_MIN_MS.
 */
export const SOURCE_SYNC_AGE_MAX_MS = 10_000;

/**
 * How often a node's byte 1 must have agreed with the frames' timestamps before it is believed where it doesn't, and
 * how far it can earn credit beyond that: so many late frames in a row are believed, a burst after a wait.
 */
export const SOURCE_CREDIT_MIN = 32;
export const SOURCE_CREDIT_MAX = 96;

/** The system's clock was set, if it went this much otherwise than the one that never jumps, in milliseconds. */
export const SOURCE_CLOCK_STEP_MS = 5;

/** Bytes of a log file that a replay reads at once: what stays in a core's cache while it is parsed. */
export const LOG_READ_BYTES = 256 * 1024;

/** And at first; each time twice as many. */
export const LOG_FIRST_READ_BYTES = 8 * 1024;

/** Text of a compressed log that its thread hands over at once; two such pieces may wait. */
export const LOG_DECOMPRESSED_BYTES = 256 * 1024;

/** The longest line of a log file; a longer one is counted as broken. */
export const LOG_LINE_BYTES_MAX = 4096;

/** Line numbers of broken log lines that are kept for the status; the rest are only counted. */
export const LOG_BROKEN_LINES_KEPT = 10;

/**
 * Series (one signal as one node sends it) that may exist over the life of a database. Noise could make
 * one of every number; past the limit a new series' frames are counted as `series_limit` and not kept.
 */
export const SERIES_MAX = 65_536;

/**
 * Series of one quantity (other nodes, other value types) on one bus. The decoder looks through them one by
 * one; a vehicle has one or two, noise on a single quantity could make 32,768.
 */
export const SERIES_PER_QUANTITY_MAX = 256;

/** Changes of a controller's state that are kept for the status. */
export const CONTROLLER_CHANGES_KEPT = 32;

/** CAN ids with counters of their own per bus; the frames of further ids are counted together. */
export const CAN_IDS_COUNTED_MAX = 4096;

/** Samples that one batch holds. */
export const SAMPLE_BATCH_SAMPLES_MAX = 8192;

/**
 * Sample batches in all. While the writer stands still (a slow card) batches are handed over only when
 * they are full, so half a million samples gather before any is lost.
 */
export const SAMPLE_BATCHES_MAX = 64;

/** Sample batches that one commit makes durable at most; while it does, the others fill. */
export const SAMPLE_BATCHES_PER_COMMIT_MAX = 24;

/** With fewer free sample batches than this, sources that can wait (log replays) are made to. */
export const SAMPLE_BATCHES_FREE_LOW = 16;

/** Samples that make a segment of compressed blocks: about 13 minutes of the kart. */
export const SEGMENT_SAMPLES = 524_288;

/** Samples that stay in chunks when a segment is made, for those who read with SQL: 100 s of the kart. */
export const CHUNK_SAMPLES_RECENT = 65_536;

/** Samples per second of a signal from which on the compactor makes rollups of it. */
export const ROLLUP_SAMPLES_PER_SPAN_MIN = 10;

/**
 * What the database stays below history.max_bytes by: room for the write-ahead log, and for what one commit
 * adds (SAMPLE_BATCHES_PER_COMMIT_MAX batches of chunks, a segment's blocks and rollups).
 */
export const HISTORY_BYTES_HEADROOM = 16 * 1024 * 1024;

/** The least that history.max_bytes can be. */
export const HISTORY_BYTES_MIN = 64 * 1024 * 1024;

/** Sequence numbers that a segment spans at most, those of lost samples included. */
export const SEGMENT_SEQ_SPAN_MAX = 2 ** 20;

/**
 * Sequence numbers beyond the last stored one that may be shown before their samples are stored. After a crash
 * they are left out, so that no other sample gets a number that somebody has seen.
 */
export const SEQ_RESERVED = 2 ** 22;

/** Chunks that make a segment however few their samples are: an hour of a quiet bus, flushed each second. */
export const SEGMENT_CHUNKS_MAX = 4096;

/** Buffers that the history's reader throws away before it has them collected (garbage.ts): five hours of one signal. */
export const GARBAGE_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Leaders whose clocks a reader keeps: a block follows one of the last three of its node (LEADERS_TRIED_MAX of
 * the compactor), and is one of those itself while it is read.
 */
export const LEADER_CLOCKS_KEPT = 4;

/** So much of SQLite's log is taken over into the database file at once: some minutes of the kart. */
export const WAL_CHECKPOINT_BYTES = 7 * 1024 * 1024;

/** What the log's file may keep on the disk when it begins anew. */
export const WAL_KEPT_BYTES = 4 * 1024 * 1024;

/** A log larger than this, which a reader has kept from beginning anew, is emptied as soon as it can be. */
export const WAL_BYTES_MAX = 16 * 1024 * 1024;

/** How often that is tried at most. */
export const WAL_TRUNCATE_INTERVAL_MS = 10_000;

/** Blocks that were found damaged and wait for a commit to say so; further ones are found again. */
export const BLOCKS_QUARANTINED_AT_ONCE_MAX = 256;

/**
 * Damaged databases that one run sets aside. Each keeps the room on the disk that it has, and a card on which
 * so many are damaged will do the same to the next; then the history fails and says so.
 */
export const DATABASES_SET_ASIDE_MAX = 3;

/**
 * Samples that the main thread keeps, at least, to answer at once what is asked most often: the newest ones. 28 bytes
 * each, twice.
 */
export const NEWEST_SAMPLES_KEPT = 1024;

/** Samples in one answer of /api/state/history; more come with a cursor or as a stream. */
export const HISTORY_PAGE_SAMPLES_MAX = 10_000;

/**
 * Samples that a streamed answer takes from the reader at once, 260 kB of them: the main thread passes so much on in a
 * fraction of a millisecond.
 */
export const HISTORY_STREAM_PAGE_SAMPLES = 1_000;

/**
 * A stream whose pages have taken so long, in all, rests as long before it asks for the next: then half of the reader's time
 * is left to others, and of the processors'. With little to do a rest comes after six pages, and a timer wakes in time for it.
 */
export const HISTORY_STREAM_WORK_MS = 4;

/** Samples in one page of columns, 26 bytes each: 20 minutes of a signal that comes 50 times a second. */
export const COLUMN_PAGE_SAMPLES_MAX = 65_536;

/** Samples in one row group of a Parquet file: what the export holds of it, and a reader skips or reads. */
export const PARQUET_ROW_GROUP_SAMPLES = COLUMN_PAGE_SAMPLES_MAX;

/** Signals, and points of each, in one answer of /api/series. */
export const SERIES_SIGNALS_MAX = 64;
export const SERIES_POINTS_MAX = 10_000;

/** How often a disk that has refused the database at the start is tried again: a try costs a thread's start, some 20 ms. */
export const HISTORY_REOPEN_MS = 2000;

/** Queries that may wait for the reader thread; one more is answered 503. */
export const HISTORY_QUERIES_WAITING_MAX = 64;

/**
 * The newest samples that are held for those who follow the live stream: 3 seconds of a full 500 kbit/s bus, and two
 * batches. Who hasn't taken one until its place is needed has missed it. A power of two.
 */
export const LIVE_FEED_SAMPLES = 16_384;

/** Clients of the live stream, over WebSocket and as event streams; one more is answered 503. */
export const STREAM_CLIENTS_MAX = 256;

/** Subscriptions of one client, and patterns of one subscription. */
export const STREAM_SUBSCRIPTIONS_MAX = 64;
export const STREAM_PATTERNS_MAX = 64;

/** Characters of one pattern: the longest name of a signal has 60. */
export const STREAM_PATTERN_CHARS_MAX = 120;

/**
 * Different sets of signals that clients may have subscribed to, all in all; who asks for the same shares one. Each
 * takes 20 bytes a signal: 3 MiB with the 150 of a vehicle.
 */
export const STREAM_SELECTIONS_MAX = 1024;

/** Bytes of one message of a client. A subscription with all the patterns that it may have takes half of it. */
export const STREAM_MESSAGE_BYTES_MAX = 16 * 1024;

/** Bytes of what a client's ping may carry, as it is sent back. */
export const STREAM_PING_BYTES_MAX = 512;

/**
 * Messages that a client may send, pings and pongs of WebSocket's own included: so many at once, and so many a second after
 * that. A message that is wrong counts as STREAM_MESSAGE_WRONG_COST. Who sends more is cut off.
 */
export const STREAM_MESSAGES_AT_ONCE_MAX = 2 * STREAM_SUBSCRIPTIONS_MAX;
export const STREAM_MESSAGES_PER_S_MAX = 20;
export const STREAM_MESSAGE_WRONG_COST = 8;

/** Samples of one message of ours, 330 bytes each as JSON. More go into several. */
export const STREAM_MESSAGE_SAMPLES_MAX = 500;

/**
 * Bytes that may wait for a client, besides what the kernel has taken; 800 samples as JSON. With more of them nothing is
 * written to it but what makes up a message: then it is behind, and misses what comes.
 */
export const STREAM_CLIENT_BYTES_MAX = 256 * 1024;

/** A client that was behind is told the latest when no more than so much waits for it. */
export const STREAM_CLIENT_BYTES_LOW = STREAM_CLIENT_BYTES_MAX / 4;

/** A client that is behind for so long is closed: it takes less than 20 kB/s. */
export const STREAM_STALLED_MS = 10_000;

/** How often a client hears of us when there is nothing else, and is asked for a sign of life over WebSocket. */
export const STREAM_HEARTBEAT_MS = 5000;

/**
 * A client that gave no sign of life for so long, over WebSocket, is gone. Over a slow network its answer waits behind
 * what the kernel still has for it: half a megabyte.
 */
export const STREAM_SILENCE_MAX_MS = 6 * STREAM_HEARTBEAT_MS;

/** How often clients are looked at: who is behind for too long, who needs a heartbeat. */
export const STREAM_WATCH_MS = 500;

/** How long a client may take to answer that its connection is being closed; a stop waits for it. */
export const STREAM_CLOSE_MS = 1000;

/**
 * Samples that a subscription gets from the history when it resumes: 17 MB as JSON. What is older is a gap, and is
 * found by /api/state/history.
 */
export const STREAM_RESUME_SAMPLES_MAX = 50_000;

/** Resuming subscriptions that ask the history at a time: the reader's queue is for others too. */
export const STREAM_RESUMES_AT_ONCE = 4;

/** How long clients are served before the main thread looks after the buses again. */
export const STREAM_TURN_MS = 4;
/** Answers of fewer bytes are sent as they are: they fit one packet either way. */
export const COMPRESSION_BYTES_MIN = 1024;

/**
 * Answers of up to so many bytes are compressed at once, on the main thread: 0.1 ms for the state of 120 signals, which the
 * way to another thread would cost as well. Larger ones go to Node's pool of threads.
 */
export const COMPRESSION_INLINE_BYTES_MAX = 64 * 1024;

/** Answers that the pool compresses at once; it has four threads. One more is sent as it is, which every client takes. */
export const COMPRESSED_ANSWERS_MAX = 8;

/** Streams that are compressed at once, half of the exports, 0.6 MiB each for as long as the client takes. One more is sent as it is. */
export const COMPRESSED_STREAMS_MAX = 4;

/** Gaps that are kept. At 50 bytes each half a megabyte; a vehicle that is switched off has one a day. */
export const GAPS_MAX = 10_000;

/** Gaps of one bus and cause that are no further apart become one: longer than a bus is retried after. */
export const GAP_MERGE_MS = 2000;

/**
 * Gaps that wait to be stored, while the writer stands still or the disk is full; further ones become one
 * with the last of their bus and cause, however far apart.
 */
export const GAPS_UNSTORED_MAX = 256;

/**
 * Frames that wait for the recorder, in bytes: 24 each, so a minute of a full 1 Mbit/s bus while the disk stands
 * still. A power of two.
 */
export const RECORDING_QUEUE_BYTES = 16 * 1024 * 1024;

/**
 * From so many waiting bytes on the recorder writes ahead of its time, and sources that can wait are made to: what
 * all buses have on the way still finds room. A quarter of the queue.
 */
export const RECORDING_QUEUE_BUSY_BYTES = RECORDING_QUEUE_BYTES / 4;

/** How often what was recorded is made durable: what a power cut costs at most, while the disk is well. */
export const RECORDING_SYNC_MS = 2000;

/** Text that is compressed and written at once; a reader that meets damage loses so much. */
export const RECORDING_TEXT_BYTES = 1024 * 1024;

/** How long a recording that the disk refused is paused before it is tried again. */
export const RECORDING_RETRY_MS = 5000;

/** The least that recording.max_file_bytes can be: a few writes, however well they compress. */
export const RECORDING_FILE_BYTES_MIN = 4 * RECORDING_TEXT_BYTES;

/** Windows of the event loop's delay that are kept for /metrics: the last minute, and the one that isn't over. */
export const EVENT_LOOP_WINDOW_MS = 15_000;
export const EVENT_LOOP_WINDOWS_KEPT = 4;

/** Names of threads whose CPU time is told one by one: 16 buses, four of the history and the recording, a dozen of Node.js. */
export const THREAD_NAMES_MAX = 48;

/** How long a stop may take before the process ends by force. */
export const STOP_DEADLINE_MS = 1_800;

/** How long `doctor` listens to a bus: in a vehicle every node says something within a second. */
export const DOCTOR_LISTEN_MS = 2000;

/** How long it waits for a bus to open, and for an answer of the API. */
export const DOCTOR_OPEN_TIMEOUT_MS = 5000;
export const DOCTOR_API_TIMEOUT_MS = 2000;

/** A change of the wall clock against the time since the machine's start, in microseconds, that is a step: NTP steps from 128 ms on. */
export const CLOCK_STEP_US = 100_000;

/**
 * A step forward of a clock of which nobody can say whether it was right, in microseconds, that corrects what was
 * recorded before: more than a quartz is wrong by in a week.
 */
export const CLOCK_STEP_UNKNOWN_US = 60_000_000;

/** How often the kernel is asked whether its clock is synchronised. */
export const CLOCK_ASK_INTERVAL_MS = 1000;

/** How long after a step there may be frames on the way that bear the time from before: what a held-up bus thread has read. */
export const CLOCK_SETTLE_MS = 5000;

/** Steps and corrections that are kept for the status, and changes that wait for a disk that takes nothing. */
export const CLOCK_STEPS_KEPT = 32;

/** Spans of one clock that the database remembers: a start makes one, and so does each step. 60 bytes each. */
export const CLOCK_SPANS_MAX = 1000;

/** Commands that wait for a node's echo, on all buses together; one more is answered 503. Each holds a request open. */
export const COMMANDS_WAITING_MAX = 32;

/** Places besides these for emergency stops alone. One that finds none is sent all the same, and not watched for. */
export const EMERGENCY_STOPS_WAITING_MAX = 32;

/**
 * Commands a second, emergency stops aside, on all buses together. With an echo and an ACK each they take 4% of a
 * 500 kbit/s bus.
 */
export const COMMANDS_PER_SECOND_MAX = 50;

/** How long a command may wait for its echo: a node answers in milliseconds, and a person waits no longer. */
export const COMMAND_TIMEOUT_MIN_MS = 10;
export const COMMAND_TIMEOUT_MAX_MS = 30_000;

/** Bytes of a command's body: several times what all its fields can need. */
export const COMMAND_BODY_BYTES_MAX = 4096;

/** Newest entries of the audit log that are kept in memory for GET /api/commands, at most 2 kB each. */
export const AUDIT_ENTRIES_KEPT = 256;

/** Size at which the audit log is rotated, and files that are kept with the active one: 64 MiB, some 100,000 commands. */
export const AUDIT_FILE_BYTES_MAX = 8 * 1024 * 1024;
export const AUDIT_FILES_MAX = 8;

/** Lines that wait for the audit log's disk, which may be full; beyond it the oldest are lost, and counted. */
export const AUDIT_LINES_WAITING_MAX = 256;

/** How long anybody waits for the audit log's disk: what is to be answered is answered then without it. */
export const AUDIT_WAIT_MS = 1000;

/** How long after a write that failed the audit log is tried again, if no command does so before. */
export const AUDIT_RETRY_MS = 5000;

/**
 * Refused attempts that are noted down at once, and how many more each second; further ones are counted in the next
 * line. So nobody without a token can fill the audit log in less than two days, or wear out a card.
 */
export const AUDIT_REFUSALS_BURST = 100;
export const AUDIT_REFUSALS_PER_SECOND = 1;

/**
 * Sockets that clients of the API may have open; Node closes further ones as they come. Each costs 20 KiB or so, 80 with
 * TLS, and a file descriptor: a service has 1,024 of them where nobody gives it more.
 */
export const API_SOCKETS_MAX = 512;

/** From so many open sockets on, each new one costs the client with most of them the one that it has left idle longest. */
export const API_SOCKETS_BUSY = API_SOCKETS_MAX - 32;

/**
 * Of these one client may have so many: all that the live stream serves, and half as many again, as a proxy ahead of the service is
 * one client. The others stay for others.
 */
export const API_SOCKETS_PER_CLIENT_MAX = (API_SOCKETS_MAX * 3) / 4;

/** How long a client may take to send the head of a request (or to agree on TLS), and the whole of it. */
export const API_HEAD_TIMEOUT_MS = 5_000;
export const API_REQUEST_TIMEOUT_MS = 10_000;

/** How often sockets are looked at for these two. */
export const API_TIMEOUT_CHECK_MS = 500;

/**
 * Requests that a client may send over one connection ahead of their answers. Browsers wait for each, and load generators
 * send ten; a client that sends thousands at once would have a second of the main thread until another is looked at.
 */
export const API_REQUESTS_AHEAD_MAX = 32;

/** How long an idle connection is kept: longer than the minute for which proxies keep theirs, so that they close first. */
export const API_KEEP_ALIVE_MS = 72_000;

/** A client that takes nothing of its answer for so long is cut off. */
export const API_STALLED_MS = 30_000;

/** Bytes of a request's head, which its URL is part of, and of its body. 64 signals in a URL are 4 kB. */
export const API_HEAD_BYTES_MAX = 16 * 1024;
export const API_BODY_BYTES_MAX = 64 * 1024;

/** Characters of one part of a path that is a parameter. The longest name, of a bus, has 32. */
export const API_PATH_PART_CHARS_MAX = 200;

/** Exports (streams of samples) at once; each has a page of samples, 1 MB, in memory. One more is answered 503. */
export const API_EXPORTS_MAX = 8;

/**
 * A segment is read as a whole, 14 MB of memory, which one is kept of. So that streams at several places of the history don't
 * have theirs read anew with each page, parts of so many samples (26 bytes each) are kept as well: one for each stream.
 */
export const HISTORY_PART_SAMPLES = 32_768;
export const HISTORY_PARTS_KEPT = API_EXPORTS_MAX;

/**
 * Bytes of answers that clients haven't taken yet, all together; beyond it the client with most of them loses its oldest. A
 * page of the history has up to 2.5 MB. Answers shorter than API_ANSWER_BYTES_COUNTED aren't counted: with all sockets open
 * they come to 8 MiB at most.
 */
export const API_UNSENT_BYTES_MAX = 32 * 1024 * 1024;
export const API_ANSWER_BYTES_COUNTED = 16 * 1024;

/** Clients whose requests are counted against their limit, 100 bytes each; they are forgotten when they are silent so long. */
export const API_CLIENTS_MAX = 4096;
export const API_CLIENT_FORGET_MS = 60_000;

/** The greatest api.rate_limit that isn't `unlimited`. */
export const API_RATE_PER_S_MAX = 100_000;

/** Tokens, and the file that holds them: 200 bytes each. Each request that brings a token is compared with all of them. */
export const API_TOKENS_MAX = 64;
export const API_TOKENS_FILE_BYTES_MAX = 64 * 1024;

/** How often the files of tokens and certificate are looked at for changes: what a revoked token may still be used for. */
export const API_FILE_CHECK_MS = 1000;

// The log on the API. It is read from the file's end: 256 KiB are a thousand lines or more, a few milliseconds of a card.
export const LOG_TAIL_BYTES_MAX = 256 * 1024;
export const LOG_TAIL_LINES_MAX = 1000;
