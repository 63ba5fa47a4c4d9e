import assert from 'node:assert/strict';
import { type CanFrame, CLASSIC_PAYLOAD_BYTES_MAX } from '../can-frame.ts';
import type { FrameBatch } from '../frame-batch.ts';
import { applyOrder, CONTROL_LINKS, nodesActingOn, type Order } from './kart-commands.ts';
import { type Noise, TASKS } from './kart-messages.ts';
import { KartModel, MODEL_STEP_US } from './kart-model.ts';
import {
  COMPONENT,
  COMPUTER,
  MESSAGE,
  MOTOR_STATUS,
  MOTORS,
  NODE,
  NODE_ID_MAX,
  SYSTEM,
  VALUE,
  VALUE_MASK,
  VALUE_MASK_UNASSIGNED,
  VALUE_MAX,
  VALUE_MIN,
} from './kart-wire.ts';
import { noise, type Random, seededRandom } from './random.ts';

/**
 * Time a frame of 8 bytes holds a 500 kbit/s bus: 108 bits and 3 of pause take 222 µs, and bit stuffing
 * adds a few that depend on the data (ISO 11898-1, at most 24 bits). Here dice stand for the data.
 */
const FRAME_US_MIN = 230;
const STUFF_BITS_SPREAD = 12;
const BIT_US = 2;

/** How late a task may wake: a millisecond, as with an operating system whose tick is one. */
const TASK_JITTER_US = 1000;

/** From what happened to the message about it, and from a COMMAND to the answer. */
const REACTION_US = 1100;
const REACTION_SPREAD_US = 900;

const FAULT_REPEATED_EVERY_US = 1_000_000;

/** Frames that wait to be sent apart from the regular traffic. */
const OUTBOX_FRAMES = 256;
/** What one step of the model can add at most: 8 links × (COMMAND, 2 STATUS, 2 ACK) + 4 faults. */
const OUTBOX_RESERVED_FRAMES = 48;
/** What one received COMMAND can add at most: every node answers. */
const ANSWER_FRAMES_MAX = NODE_ID_MAX;

/**
 * A go-kart on a drive without end, as its CAN bus shows it: about 660 frames a second of 8 bytes from
 * six nodes, which also react to COMMANDs. The same seed, and the same COMMANDs at the same times, give
 * the same frames, whatever the sizes of the batches.
 *
 * Time is virtual: microseconds since the drive began. It moves only in `emit`.
 */
export class SimulatedKart {
  readonly #model: KartModel;
  readonly #busRandom: Random;
  readonly #sensorNoise: Noise;

  /** When each task is to wake by its clock, and when it will with jitter. */
  readonly #taskNominalUs = new Float64Array(TASKS.length);
  readonly #taskDueUs = new Float64Array(TASKS.length);
  /** The task that sends next, or is in the midst of sending, and its next message. */
  #taskIndex = 0;
  #messageIndex = 0;

  #nextStepUs = MODEL_STEP_US;
  #busFreeUs = 0;
  #nowUs = 0;
  /** When each node last had its time set, by node id; NaN: never. */
  readonly #syncedUs = new Float64Array(NODE_ID_MAX + 1).fill(Number.NaN);

  /** Ring of frames to send besides the tasks', in the order of their times. */
  readonly #outboxDueUs = new Float64Array(OUTBOX_FRAMES);
  readonly #outboxNodeId = new Uint8Array(OUTBOX_FRAMES);
  readonly #outboxPayload = new Uint8Array(OUTBOX_FRAMES * CLASSIC_PAYLOAD_BYTES_MAX);
  #outboxFirst = 0;
  #outboxCount = 0;
  #outboxLastDueUs = 0;

  readonly #linkValues = new Int32Array(CONTROL_LINKS.length).fill(-1);
  readonly #reportedStatus = new Uint8Array(4);
  readonly #reportAgainAtUs = new Float64Array(4);

  /** `seed`: any integer. */
  constructor(options: { seed: number }) {
    this.#model = new KartModel(seededRandom(options.seed, 0));
    const random = seededRandom(options.seed, 1);
    this.#busRandom = random;
    this.#sensorNoise = (amplitude) => noise(random, amplitude);
    for (let i = 0; i < TASKS.length; i++) {
      this.#taskNominalUs[i] = Math.floor(random() * TASKS[i]!.periodMs * 1000);
      this.#taskDueUs[i] = this.#taskNominalUs[i]!;
    }
    this.#followControls(0);
    this.#chooseTask();
  }

  /**
   * Appends the frames that start up to and including virtual time `untilUs`, until the batch is full;
   * what didn't fit comes with the next call. A frame's timestamp is `offsetUs + virtualUs × timeScale`,
   * rounded. `untilUs` may be Infinity: then the batch is filled.
   */
  emit(batch: FrameBatch, untilUs: number, offsetUs: number, timeScale = 1): void {
    while (!batch.isFull) {
      const taskDueUs = this.#messageIndex > 0 ? this.#busFreeUs : this.#taskDueUs[this.#taskIndex]!;
      const outboxDueUs = this.#outboxCount > 0 ? this.#outboxDueUs[this.#outboxFirst]! : Infinity;
      const dueUs = Math.min(taskDueUs, outboxDueUs);
      // Before the frame is sent the world moves on to its time, and that may bring up an earlier one.
      if (this.#nextStepUs <= dueUs && this.#nextStepUs <= untilUs) {
        this.#step();
        continue;
      }
      const startUs = Math.max(dueUs, this.#busFreeUs);
      if (startUs > untilUs) {
        this.#nowUs = Math.max(this.#nowUs, Math.floor(untilUs));
        return;
      }
      this.#nowUs = startUs;
      const index = batch.count++;
      batch.timestampUs[index] = Math.round(offsetUs + startUs * timeScale);
      batch.payloadBytes[index] = CLASSIC_PAYLOAD_BYTES_MAX;
      batch.flags[index] = 0;
      if (outboxDueUs <= taskDueUs) this.#sendFromOutbox(batch, index, startUs, timeScale);
      else this.#sendFromTask(batch, index, startUs, timeScale);
      this.#busFreeUs = startUs + FRAME_US_MIN + BIT_US * Math.floor(this.#busRandom() * STUFF_BITS_SPREAD);
    }
  }

  /**
   * Hears a frame from the bus at virtual time `atUs`, or at the time that `emit` has reached if that is
   * later. The nodes concerned act on a COMMAND and echo it as a STATUS, the drive nodes with an ACK after
   * it; PING is answered by every node with PONG, and SET_TIME under a node's CAN id sets that node's
   * clock. Other frames mean nothing to them. False: too many answers are still waiting for the bus, and
   * this frame was lost.
   */
  receive(frame: CanFrame, atUs = 0): boolean {
    const { payload } = frame;
    if (frame.isExtended || payload.length !== CLASSIC_PAYLOAD_BYTES_MAX) return true;
    if (payload[0]! >> 6 !== MESSAGE.COMMAND) return true;
    if (this.#outboxCount > OUTBOX_FRAMES - OUTBOX_RESERVED_FRAMES - ANSWER_FRAMES_MAX) return false;

    const valueType = payload[4]! >> 4;
    const bits = (payload[5]! << 16) | (payload[6]! << 8) | payload[7]!;
    const order: Order = {
      componentType: (payload[0]! >> 3) & 7,
      componentId: payload[2]!,
      commandId: payload[3]!,
      valueType,
      value: bits & (VALUE_MASK[valueType] ?? VALUE_MASK_UNASSIGNED),
    };
    const heardUs = Math.max(this.#nowUs, Math.floor(atUs));
    const isAboutTime =
      order.componentType === COMPONENT.SYSTEM_MONITOR && order.componentId === COMPUTER.TIME_MASTER;
    if (isAboutTime) this.#syncTime(heardUs, frame.canId, order);
    else this.#act(heardUs, order);
    return true;
  }

  #syncTime(nowUs: number, canId: number, order: Order): void {
    if (order.commandId === SYSTEM.PING) {
      const pong = { ...order, commandId: SYSTEM.PONG };
      for (let nodeId = 1; nodeId <= NODE_ID_MAX; nodeId++) {
        this.#post(nowUs, nodeId, MESSAGE.STATUS, pong);
      }
    } else if (order.commandId === SYSTEM.SET_TIME && canId >= 1 && canId <= NODE_ID_MAX) {
      this.#syncedUs[canId] = nowUs;
      this.#post(nowUs, canId, MESSAGE.STATUS, order);
    }
  }

  #sendFromTask(batch: FrameBatch, index: number, startUs: number, timeScale: number): void {
    const task = TASKS[this.#taskIndex]!;
    const message = task.messages[this.#messageIndex]!;
    const { valueType } = message;
    const reading = Math.round(message.read(this.#model, this.#sensorNoise));
    const value = Math.min(VALUE_MAX[valueType]!, Math.max(VALUE_MIN[valueType]!, reading));
    const { payload } = batch;
    const offset = index * CLASSIC_PAYLOAD_BYTES_MAX;
    batch.canId[index] = task.nodeId;
    payload[offset] = (MESSAGE.STATUS << 6) | (message.componentType << 3);
    payload[offset + 1] = this.#sinceSyncMs(task.nodeId, startUs, timeScale);
    payload[offset + 2] = message.componentId;
    payload[offset + 3] = message.commandId;
    payload[offset + 4] = valueType << 4;
    payload[offset + 5] = value >> 16;
    payload[offset + 6] = value >> 8;
    payload[offset + 7] = value;

    this.#messageIndex++;
    if (this.#messageIndex < task.messages.length) return;
    this.#messageIndex = 0;
    const nominalUs = this.#taskNominalUs[this.#taskIndex]! + task.periodMs * 1000;
    this.#taskNominalUs[this.#taskIndex] = nominalUs;
    this.#taskDueUs[this.#taskIndex] = nominalUs + Math.floor(this.#busRandom() * TASK_JITTER_US);
    this.#chooseTask();
  }

  #sendFromOutbox(batch: FrameBatch, index: number, startUs: number, timeScale: number): void {
    const first = this.#outboxFirst;
    const from = first * CLASSIC_PAYLOAD_BYTES_MAX;
    const offset = index * CLASSIC_PAYLOAD_BYTES_MAX;
    const nodeId = this.#outboxNodeId[first]!;
    batch.canId[index] = nodeId;
    for (let i = 0; i < CLASSIC_PAYLOAD_BYTES_MAX; i++) {
      batch.payload[offset + i] = this.#outboxPayload[from + i]!;
    }
    batch.payload[offset + 1] = this.#sinceSyncMs(nodeId, startUs, timeScale);
    this.#outboxFirst = (first + 1) % OUTBOX_FRAMES;
    this.#outboxCount--;
  }

  /** Tasks are few enough to look through all of them once per burst. */
  #chooseTask(): void {
    const due = this.#taskDueUs;
    let earliest = 0;
    for (let i = 1; i < due.length; i++) if (due[i]! < due[earliest]!) earliest = i;
    this.#taskIndex = earliest;
  }

  /** By the clock of the timestamps: at another pace a node's milliseconds would not be those of whoever set its time. */
  #sinceSyncMs(nodeId: number, nowUs: number, timeScale: number): number {
    const syncedUs = this.#syncedUs[nodeId]!;
    // A frame may still start a moment before the time at which SET_TIME was heard.
    if (Number.isNaN(syncedUs) || nowUs < syncedUs) return 0;
    return Math.floor(((nowUs - syncedUs) * timeScale) / 1000) & 0xff;
  }

  #step(): void {
    this.#model.step();
    this.#followControls(this.#nextStepUs);
    this.#reportFaults(this.#nextStepUs);
    this.#nextStepUs += MODEL_STEP_US;
  }

  /** The control unit's part: it orders what the driver's controls say, whenever that changes. */
  #followControls(nowUs: number): void {
    for (let i = 0; i < CONTROL_LINKS.length; i++) {
      const link = CONTROL_LINKS[i]!;
      const value = link.read(this.#model);
      if (value === this.#linkValues[i]) continue;
      this.#linkValues[i] = value;
      const { componentType, componentId, commandId, valueType } = link;
      const order = { componentType, componentId, commandId, valueType, value };
      this.#post(nowUs, NODE.CONTROLS, MESSAGE.COMMAND, order);
      this.#act(nowUs, order);
    }
  }

  /** A motor's fault is an ERROR at once, again every second while it lasts, and STATUS_OK when it is over. */
  #reportFaults(nowUs: number): void {
    for (let motorId = 0; motorId < 4; motorId++) {
      const { status } = this.#model.motors[motorId]!;
      const reported = this.#reportedStatus[motorId]!;
      const isDueAgain = status !== MOTOR_STATUS.OK && nowUs >= this.#reportAgainAtUs[motorId]!;
      if (status === reported && !isDueAgain) continue;
      this.#reportedStatus[motorId] = status;
      this.#reportAgainAtUs[motorId] = nowUs + FAULT_REPEATED_EVERY_US;
      // The command id says which reading shows the fault.
      const kind = status === MOTOR_STATUS.OK ? reported : status;
      this.#post(nowUs, motorId < 2 ? NODE.REAR_DRIVE : NODE.FRONT_DRIVE, MESSAGE.ERROR, {
        componentType: COMPONENT.MOTORS,
        componentId: motorId,
        commandId: kind === MOTOR_STATUS.HALL_SENSOR ? MOTORS.RPM : MOTORS.TEMPERATURE,
        valueType: VALUE.UINT8,
        value: status,
      });
    }
  }

  #act(nowUs: number, order: Order): void {
    const nodeIds = nodesActingOn(order);
    if (nodeIds.length === 0) return;
    applyOrder(this.#model, order);
    for (const nodeId of nodeIds) {
      this.#post(nowUs, nodeId, MESSAGE.STATUS, order);
      // What can move the kart is acknowledged as well.
      if (order.componentType === COMPONENT.MOTORS) this.#post(nowUs, nodeId, MESSAGE.ACK, order);
    }
  }

  /** Puts a frame into the outbox, to be sent a moment from now and never before those that are in it. */
  #post(nowUs: number, nodeId: number, messageType: number, content: Order): void {
    assert(this.#outboxCount < OUTBOX_FRAMES, 'the outbox holds what a step and a COMMAND can add');
    const reactionUs = REACTION_US + Math.floor(this.#busRandom() * REACTION_SPREAD_US);
    this.#outboxLastDueUs = Math.max(this.#outboxLastDueUs, nowUs + reactionUs);
    const slot = (this.#outboxFirst + this.#outboxCount) % OUTBOX_FRAMES;
    this.#outboxCount++;
    this.#outboxDueUs[slot] = this.#outboxLastDueUs;
    this.#outboxNodeId[slot] = nodeId;
    const payload = this.#outboxPayload;
    const offset = slot * CLASSIC_PAYLOAD_BYTES_MAX;
    payload[offset] = (messageType << 6) | (content.componentType << 3);
    payload[offset + 2] = content.componentId;
    payload[offset + 3] = content.commandId;
    payload[offset + 4] = content.valueType << 4;
    payload[offset + 5] = content.value >> 16;
    payload[offset + 6] = content.value >> 8;
    payload[offset + 7] = content.value;
  }
}
