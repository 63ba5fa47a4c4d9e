import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUSES_MAX } from '../config/schema.ts';
import * as limits from './limits.ts';

/** Frames of 8 bytes per second on a 1 Mbit/s bus without stuffing (111 bits each): the most there is. */
const FRAMES_PER_S_MAX = 1_000_000 / 111;

test('frames gather for less than a batch may age', () => {
  assert.ok(limits.FRAME_GATHER_MS < limits.FRAME_BATCH_AGE_MAX_MS);
});

test('what gathers on the fastest bus fits one batch', () => {
  assert.ok((FRAMES_PER_S_MAX * limits.FRAME_BATCH_AGE_MAX_MS) / 1000 < limits.FRAME_BATCH_FRAMES_MAX);
});

test('a batch of frames fits a batch of samples', () => {
  assert.ok(limits.FRAME_BATCH_FRAMES_MAX <= limits.SAMPLE_BATCH_SAMPLES_MAX);
});

test('a source that can wait is stopped before samples are lost', () => {
  const framesOnTheWay = limits.FRAME_BATCH_FRAMES_MAX * limits.FRAME_BATCHES_PER_BUS;
  const samplesFree = limits.SAMPLE_BATCH_SAMPLES_MAX * (limits.SAMPLE_BATCHES_FREE_LOW - 1);
  assert.ok(framesOnTheWay < samplesFree);
});

test('a stalled writer loses nothing of a full 500 kbit/s bus for a minute', () => {
  const samplesHeld = limits.SAMPLE_BATCH_SAMPLES_MAX * (limits.SAMPLE_BATCHES_MAX - 1);
  assert.ok(samplesHeld / (FRAMES_PER_S_MAX / 2) > 60);
});

test('while one commit is under way there are batches for the next, and replays may go on', () => {
  const free = limits.SAMPLE_BATCHES_MAX - limits.SAMPLE_BATCHES_PER_COMMIT_MAX;
  assert.ok(free >= limits.SAMPLE_BATCHES_PER_COMMIT_MAX + limits.SAMPLE_BATCHES_FREE_LOW);
});

test('a segment, with the chunk that fills it, spans no more numbers than it may', () => {
  assert.ok(limits.SEGMENT_SAMPLES + limits.SAMPLE_BATCH_SAMPLES_MAX <= limits.SEGMENT_SEQ_SPAN_MAX);
});

test('numbers are reserved for all samples that can wait to be stored, and for eight times as many lost', () => {
  const samplesWaiting = limits.SAMPLE_BATCHES_MAX * limits.SAMPLE_BATCH_SAMPLES_MAX;
  assert.ok(limits.SEQ_RESERVED >= 8 * samplesWaiting);
});

test('numbers suffice for a crash every second over ten years', () => {
  const crashes = 10 * 366 * 86_400;
  assert.ok(limits.SEQ_RESERVED * crashes < Number.MAX_SAFE_INTEGER);
});

test('a log that is taken over in time is never emptied by force', () => {
  assert.ok(2 * limits.WAL_CHECKPOINT_BYTES < limits.WAL_BYTES_MAX);
  assert.ok(limits.WAL_KEPT_BYTES <= limits.WAL_BYTES_MAX);
});

test('a bus that comes back is found within a second', () => {
  assert.ok(limits.BUS_RETRY_LONGEST_MS <= 1000 / 2);
  assert.ok(limits.INTERFACE_CHECK_MS <= 1000 / 2);
  assert.ok(limits.BUS_OFF_RESTART_MS <= 1000 / 2);
});

test('a thread that waits for ip, or has nothing to do, is not taken for one that is stuck', () => {
  assert.ok(limits.BUS_WORKER_STUCK_MS > 4 * limits.IP_COMMAND_TIMEOUT_MS + 2 * limits.BUS_WATCH_MS);
  assert.ok(limits.BUS_WORKER_STUCK_MS > 2 * (limits.BUS_WAIT_MAX_MS + limits.BUS_WATCH_MS));
});

test('a bus that comes and goes makes one gap, not one for each attempt to open it', () => {
  assert.ok(limits.GAP_MERGE_MS > limits.BUS_RETRY_LONGEST_MS);
});

test('gaps that wait to be stored are few beside those that are kept', () => {
  assert.ok(limits.GAPS_UNSTORED_MAX < limits.GAPS_MAX / 10);
});

test('a stop ends within two seconds', () => {
  assert.ok(limits.STOP_DEADLINE_MS < 2000);
  assert.ok(limits.IP_COMMAND_TIMEOUT_MS < limits.STOP_DEADLINE_MS);
});

/** What a frame takes in the recorder's queue, with 8 bytes of payload. */
const RECORDED_FRAME_BYTES = 24;

test('a recording whose disk stands still loses nothing of a full 1 Mbit/s bus for a minute', () => {
  assert.ok(limits.RECORDING_QUEUE_BYTES / RECORDED_FRAME_BYTES / FRAMES_PER_S_MAX > 60);
  assert.ok(Number.isInteger(Math.log2(limits.RECORDING_QUEUE_BYTES)));
});

test('a source that can wait is stopped before the recorder loses its frames', () => {
  const framesOnTheWay = BUSES_MAX * limits.FRAME_BATCHES_PER_BUS * limits.FRAME_BATCH_FRAMES_MAX;
  const free = limits.RECORDING_QUEUE_BYTES - limits.RECORDING_QUEUE_BUSY_BYTES;
  assert.ok(framesOnTheWay * RECORDED_FRAME_BYTES <= free);
});

test('what is recorded in two seconds is written before its time only on a bus that is faster than any', () => {
  const bytes = (FRAMES_PER_S_MAX * RECORDED_FRAME_BYTES * limits.RECORDING_SYNC_MS) / 1000;
  assert.ok(bytes < limits.RECORDING_QUEUE_BUSY_BYTES);
});

test('a file of a recording holds several writes', () => {
  assert.ok(limits.RECORDING_FILE_BYTES_MIN >= 2 * limits.RECORDING_TEXT_BYTES);
});

test('what a batch brings is held for those who follow the stream, and a turn later still', () => {
  assert.ok(2 * limits.SAMPLE_BATCH_SAMPLES_MAX <= limits.LIVE_FEED_SAMPLES);
  assert.ok(Number.isInteger(Math.log2(limits.LIVE_FEED_SAMPLES)));
});

/** A sample as JSON, with the longest names that the kart has. */
const SAMPLE_JSON_BYTES = 350;

test('a message of samples leaves a client room for the next one', () => {
  const bytes = limits.STREAM_MESSAGE_SAMPLES_MAX * SAMPLE_JSON_BYTES;
  assert.ok(bytes < limits.STREAM_CLIENT_BYTES_MAX);
});

test('clients that never read take no more than 128 MiB', () => {
  const bytes = limits.STREAM_CLIENT_BYTES_MAX + limits.STREAM_MESSAGE_SAMPLES_MAX * SAMPLE_JSON_BYTES;
  assert.ok(limits.STREAM_CLIENTS_MAX * bytes <= 128 * 1024 * 1024);
});

test('a client that comes back can subscribe to all that it had', () => {
  assert.ok(limits.STREAM_MESSAGES_AT_ONCE_MAX >= limits.STREAM_SUBSCRIPTIONS_MAX);
  const patternsBytes = limits.STREAM_PATTERNS_MAX * limits.STREAM_PATTERN_CHARS_MAX;
  assert.ok(2 * patternsBytes <= limits.STREAM_MESSAGE_BYTES_MAX);
});

test('resuming clients leave the reader to others', () => {
  assert.ok(limits.STREAM_RESUMES_AT_ONCE <= limits.HISTORY_QUERIES_WAITING_MAX / 8);
  assert.ok(limits.STREAM_MESSAGE_SAMPLES_MAX <= limits.HISTORY_PAGE_SAMPLES_MAX);
});

test('clients of the stream are closed before a stop ends by force', () => {
  assert.ok(limits.STREAM_CLOSE_MS + 500 < limits.STOP_DEADLINE_MS);
  assert.ok(limits.STREAM_WATCH_MS < limits.STREAM_HEARTBEAT_MS / 2);
});

test('what one PING can bring, an answer to each node and the next PING, fits the frames to send', () => {
  assert.ok(limits.TIME_SYNC_NODES_MAX + 1 < limits.SEND_QUEUE_FRAMES_MAX);
});

test('byte 1 is gone by while a node of 100 ppm and a system that is slewed agree well enough', () => {
  const drift = limits.HARDWARE_CLOCK_DRIFT_MAX + 100e-6;
  assert.ok(limits.SOURCE_SYNC_AGE_MAX_MS * drift < limits.SOURCE_DELAY_MIN_MS);
  assert.ok(limits.TIME_SYNC_INTERVAL_MAX_MS < limits.SOURCE_SYNC_AGE_MAX_MS);
});

test("the event loop's delay is told of a whole minute, which is what the slowest scrapes come in", () => {
  assert.equal(limits.EVENT_LOOP_WINDOW_MS * limits.EVENT_LOOP_WINDOWS_KEPT, 60_000);
});

test('each bus has a name of its own among the threads, beside those of the service and of Node.js', () => {
  assert.ok(BUSES_MAX + 16 <= limits.THREAD_NAMES_MAX);
});

test('an emergency stop finds room among the frames to send, whatever else waits', () => {
  const others = limits.COMMANDS_WAITING_MAX + limits.TIME_SYNC_NODES_MAX + 1;
  assert.ok(others + limits.EMERGENCY_STOPS_WAITING_MAX < limits.SEND_QUEUE_FRAMES_MAX);
});

test('commands with an echo and an ACK each take less than a tenth of a 500 kbit/s bus', () => {
  assert.ok(3 * limits.COMMANDS_PER_SECOND_MAX < FRAMES_PER_S_MAX / 2 / 10);
});

/** What a line of the audit log has at most, but for a longer principal. */
const AUDIT_LINE_BYTES = 2048;

test('the lines of all commands that wait find room while the disk of the audit log stands still', () => {
  const commands = limits.COMMANDS_WAITING_MAX + limits.EMERGENCY_STOPS_WAITING_MAX;
  assert.ok(2 * commands <= limits.AUDIT_LINES_WAITING_MAX);
  assert.ok(limits.AUDIT_WAIT_MS < limits.AUDIT_RETRY_MS);
});

test('who has no token needs more than two days to fill the audit log with refused attempts', () => {
  const bytesPerDay = AUDIT_LINE_BYTES * limits.AUDIT_REFUSALS_PER_SECOND * 86_400;
  const bytesOfRefusals = limits.AUDIT_FILE_BYTES_MAX * (limits.AUDIT_FILES_MAX - 1);
  // A line of those is a quarter of the longest.
  assert.ok(bytesOfRefusals / (bytesPerDay / 4) > 1);
});
