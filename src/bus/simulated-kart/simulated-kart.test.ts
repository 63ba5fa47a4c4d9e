import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BusError } from '../../shared/errors.ts';
import { SEND_QUEUE_FRAMES_MAX } from '../../shared/limits.ts';
import { type CanFrame, FRAME_FLAG } from '../can-frame.ts';
import { FrameBatch } from '../frame-batch.ts';
import { SimulatedKart } from './simulated-kart.ts';
import { SimulatedKartDriver } from './simulated-kart-driver.ts';

/** Ten minutes hold every kind of event, whatever the seed. */
const DRIVE_S = 600;
const DRIVE = drive({ seed: 1 }, DRIVE_S);

const [COMMAND, STATUS, ACK, ERROR] = [0, 1, 2, 3];

interface Message {
  readonly timestampUs: number;
  readonly nodeId: number;
  readonly messageType: number;
  readonly componentType: number;
  readonly sinceSyncMs: number;
  readonly componentId: number;
  readonly commandId: number;
  readonly value: number;
}

function drive(options: { seed: number }, durationS: number): FrameBatch {
  const batch = FrameBatch.allocate(durationS * 800 + 100);
  new SimulatedKart(options).emit(batch, durationS * 1e6, 0);
  assert(!batch.isFull);
  return batch;
}

/** By value type. */
const READ_VALUE: ((bytes: Buffer) => number)[] = [
  (bytes) => bytes[7]! & 1,
  (bytes) => bytes.readInt8(7),
  (bytes) => bytes.readUInt8(7),
  (bytes) => bytes.readInt16BE(6),
  (bytes) => bytes.readUInt16BE(6),
  (bytes) => bytes.readIntBE(5, 3),
  (bytes) => bytes.readUIntBE(5, 3),
];

/** Bytes of a batch's frames, in a form that compares. */
function bytesOf(batch: FrameBatch): Buffer {
  const { count } = batch;
  const columns = [
    batch.timestampUs.subarray(0, count),
    batch.canId.subarray(0, count),
    batch.payload.subarray(0, 8 * count),
    batch.payloadBytes.subarray(0, count),
    batch.flags.subarray(0, count),
  ];
  return Buffer.concat(
    columns.map((column) => Buffer.from(column.buffer, column.byteOffset, column.byteLength)),
  );
}

function messageAt(batch: FrameBatch, index: number): Message {
  const bytes = Buffer.from(batch.payload.buffer, batch.payload.byteOffset + 8 * index, 8);
  return {
    timestampUs: batch.timestampUs[index]!,
    nodeId: batch.canId[index]!,
    messageType: bytes[0]! >> 6,
    componentType: (bytes[0]! >> 3) & 7,
    sinceSyncMs: bytes[1]!,
    componentId: bytes[2]!,
    commandId: bytes[3]!,
    value: READ_VALUE[bytes[4]! >> 4]!(bytes),
  };
}

function messagesOf(batch: FrameBatch): Message[] {
  return Array.from({ length: batch.count }, (_, index) => messageAt(batch, index));
}

/** Values of one signal in the whole drive, in their order. */
function statusValues(componentType: number, componentId: number, commandId: number): number[] {
  const values: number[] = [];
  for (let i = 0; i < DRIVE.count; i++) {
    const bytes = DRIVE.payload;
    if (bytes[8 * i] !== ((STATUS << 6) | (componentType << 3))) continue;
    if (bytes[8 * i + 2] !== componentId || bytes[8 * i + 3] !== commandId) continue;
    values.push(messageAt(DRIVE, i).value);
  }
  return values;
}

function command(canId: number, ...payload: number[]): CanFrame {
  return { canId, isExtended: false, payload: Uint8Array.from(payload) };
}

describe('the drive', () => {
  test('is the same for the same seed', () => {
    assert.deepEqual(bytesOf(drive({ seed: 7 }, 20)), bytesOf(drive({ seed: 7 }, 20)));
  });

  test('differs between seeds', () => {
    const drives = [0, 1, 2, 3, -1].map((seed) => bytesOf(drive({ seed }, 5)).toString('base64'));
    assert.equal(new Set(drives).size, drives.length);
  });

  test('is the same in many small batches and many short calls as in one', () => {
    const whole = drive({ seed: 3 }, 30);
    const pieces = FrameBatch.allocate(whole.count);
    const small = FrameBatch.allocate(7);
    const kart = new SimulatedKart({ seed: 3 });
    for (let untilUs = 0; untilUs <= 30e6; untilUs += 2500) {
      do {
        small.count = 0;
        kart.emit(small, untilUs, 0);
        for (let i = 0; i < small.count; i++) {
          assert(small.timestampUs[i]! <= untilUs);
          pieces.push(
            small.timestampUs[i]!,
            small.canId[i]!,
            small.flags[i]!,
            small.payload.subarray(8 * i, 8 * i + 8),
          );
        }
      } while (small.isFull);
    }
    assert.deepEqual(bytesOf(pieces), bytesOf(whole));
  });

  test('fills the batch where no end is given', () => {
    const batch = FrameBatch.allocate(1000);
    new SimulatedKart({ seed: 1 }).emit(batch, Infinity, 0);
    assert(batch.isFull);
  });

  test('places its timestamps by offset and scale', () => {
    const plain = drive({ seed: 1 }, 2);
    const scaled = FrameBatch.allocate(plain.capacity);
    new SimulatedKart({ seed: 1 }).emit(scaled, 2e6, 1.764e15, 0.5);
    assert.equal(scaled.count, plain.count);
    for (let i = 0; i < plain.count; i++) {
      assert.equal(scaled.timestampUs[i], Math.round(1.764e15 + plain.timestampUs[i]! * 0.5));
    }
  });
});

describe('the frames', () => {
  test('are 8 bytes from nodes 1 to 6, with reserved bits 0, known components and value types', () => {
    const components = [
      [0, 1, 4, 8, 9],
      [0, 1, 2, 3, 255],
      [0, 1, 2, 3, 4],
      [0, 1, 2, 3, 4, 5, 6],
      [0, 1, 2],
      [1, 2, 3],
    ];
    const commands = [
      [0, 1, 2, 3, 4, 8, 10, 11, 12],
      [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11],
      [0, 1, 2],
      [0, 3, 7, 10, 11, 20, 21, 22],
      [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 50, 51, 52, 60, 61, 62, 63],
      [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18],
    ];
    const { payload } = DRIVE;
    for (let i = 0; i < DRIVE.count; i++) {
      const at = 8 * i;
      const componentType = (payload[at]! >> 3) & 7;
      const isSound =
        DRIVE.payloadBytes[i] === 8 &&
        DRIVE.flags[i] === 0 &&
        DRIVE.canId[i]! >= 1 &&
        DRIVE.canId[i]! <= 6 &&
        (payload[at]! & 7) === 0 &&
        (payload[at + 4]! & 0xf) === 0 &&
        payload[at + 4]! >> 4 <= 6 &&
        // Nobody set the nodes' time.
        payload[at + 1] === 0 &&
        components[componentType]?.includes(payload[at + 2]!) === true &&
        commands[componentType]?.includes(payload[at + 3]!) === true;
      assert(isSound, JSON.stringify(messageAt(DRIVE, i)));
    }
  });

  test('start at whole microseconds, one after another, as a 500 kbit/s bus lets them', () => {
    for (let i = 1; i < DRIVE.count; i++) {
      assert(Number.isInteger(DRIVE.timestampUs[i]));
      assert(DRIVE.timestampUs[i]! - DRIVE.timestampUs[i - 1]! >= 230, `frame ${i}`);
    }
  });

  test('come as often as the firmware sends them', () => {
    const perS = DRIVE.count / DRIVE_S;
    assert(perS > 600 && perS < 700, `${perS} frames per second`);
    const rates: [number, number, number, number][] = [
      // Component type, component id, command id, messages per second.
      [4, 0, 0, 50],
      [4, 0, 5, 50],
      [1, 0, 1, 20],
      [1, 3, 1, 20],
      [3, 1, 10, 20],
      [1, 2, 7, 5],
      [2, 1, 0, 5],
      [4, 1, 10, 5],
      [1, 0, 9, 1],
      [5, 1, 12, 1],
      [4, 2, 20, 0.5],
    ];
    for (const [componentType, componentId, commandId, hz] of rates) {
      const { length } = statusValues(componentType, componentId, commandId);
      assert(Math.abs(length - hz * DRIVE_S) <= 1, `${componentType}/${componentId}/${commandId}: ${length}`);
    }
  });

  test('carry what a go-kart could measure', () => {
    const degreesPerStep = 360 / 2 ** 24;
    const ranges: [string, number[], number, number, number][] = [
      // Signal, its values, units per raw step, and the least and the most that is plausible.
      ['rear left speed, rpm', statusValues(1, 0, 1), 1, 0, 1300],
      ['torque, N·m', statusValues(1, 0, 7), 0.01, -20, 50],
      ['motor throttle, %', statusValues(1, 0, 0), 1, 0, 100],
      ['motor temperature, °C', statusValues(1, 2, 9), 0.1, 20, 110],
      ['motor voltage, V', statusValues(1, 1, 10), 0.001, 40, 55],
      ['motor current, A', statusValues(1, 1, 11), 0.001, -25, 32],
      ['pack voltage, V', statusValues(2, 1, 0), 0.001, 40, 55],
      ['pack current, A', statusValues(2, 1, 1), 0.001, -32, 25],
      ['accessory voltage, V', statusValues(2, 0, 0), 0.001, 11, 14],
      ['throttle pedal', statusValues(3, 1, 10), 1, 0, 1023],
      ['brake pedal', statusValues(3, 2, 10), 1, 0, 1023],
      ['steering', statusValues(3, 3, 10), 1, 0, 1023],
      ['acceleration forwards, m/s²', statusValues(4, 0, 0), 0.001, -8, 8],
      ['acceleration upwards, m/s²', statusValues(4, 0, 2), 0.001, 7, 13],
      ['yaw rate, rad/s', statusValues(4, 0, 5), 0.001, -2, 2],
      ['latitude, °', statusValues(4, 1, 10), degreesPerStep, 40.761, 40.764],
      ['longitude, °', statusValues(4, 1, 11), degreesPerStep, -113.897, -113.894],
      ['altitude, m', statusValues(4, 1, 12), 0.1, 1280, 1292],
      ['speed, km/h', statusValues(4, 1, 13), 0.01, 0, 70],
      ['course, °', statusValues(4, 1, 14), 0.01, 0, 359.99],
      ['satellites', statusValues(4, 1, 15), 1, 0, 14],
      ['Wi-Fi signal, dBm', statusValues(5, 1, 17), 1, -90, -30],
    ];
    for (const [signal, values, scale, least, most] of ranges) {
      assert(values.length > 0, signal);
      let lowest = Infinity;
      let highest = -Infinity;
      for (const value of values) {
        lowest = Math.min(lowest, value * scale);
        highest = Math.max(highest, value * scale);
      }
      assert(lowest >= least && highest <= most, `${signal}: ${lowest} to ${highest}`);
      assert(highest > lowest, `${signal} never changes`);
    }
  });

  test('agree with each other: wheels, gyroscope and GPS see the same drive', () => {
    const rpm = statusValues(1, 0, 1);
    const wheelKmPerH = rpm.map((value) => ((value * 2 * Math.PI) / 60) * 0.14 * 3.6);
    const gpsKmPerH = statusValues(4, 1, 13).map((value) => value / 100);
    assert(Math.abs(mean(wheelKmPerH) - mean(gpsKmPerH)) < 3, 'speed');
    assert(mean(gpsKmPerH) > 20, 'it drives most of the time');
    // Every lap of an anticlockwise track turns the kart once round.
    const turns = statusValues(4, 0, 5).reduce((sum, value) => sum + value / 1000 / 50, 0) / (2 * Math.PI);
    const laps = ((mean(gpsKmPerH) / 3.6) * DRIVE_S) / 520;
    assert(Math.abs(turns - laps) < 1, `${turns} turns in ${laps} laps`);
  });

  test('show that batteries drain', () => {
    const voltage = statusValues(2, 1, 0);
    assert(mean(voltage.slice(0, 500)) - mean(voltage.slice(-500)) > 300);
  });
});

describe('now and then', () => {
  /** Frames of the drive that aren't the regular STATUS, by their index. */
  const rare: number[] = [];
  for (let i = 0; i < DRIVE.count; i++) if (DRIVE.payload[8 * i]! >> 6 !== STATUS) rare.push(i);

  test('the driver moves a switch or a pedal, and a COMMAND is followed by its STATUS', () => {
    const commands = rare.filter((index) => messageAt(DRIVE, index).messageType === COMMAND);
    assert(commands.length > 50 && commands.length < 1000, `${commands.length} commands`);
    for (const index of commands) {
      const sent = messageAt(DRIVE, index);
      let echo: Message | undefined;
      for (let i = index + 1; i < index + 40 && echo === undefined; i++) {
        const message = messageAt(DRIVE, i);
        const isEcho =
          message.messageType === STATUS &&
          message.componentType === sent.componentType &&
          message.componentId === sent.componentId &&
          message.commandId === sent.commandId;
        if (isEcho) echo = message;
      }
      assert(echo !== undefined);
      assert.equal(echo.value, sent.value);
      assert.notEqual(echo.nodeId, sent.nodeId);
      assert(echo.timestampUs - sent.timestampUs < 20_000);
    }
    assert(rare.some((index) => messageAt(DRIVE, index).messageType === ACK));
  });

  test('a motor reports an ERROR, and that it is over', () => {
    const errors = rare
      .map((index) => messageAt(DRIVE, index))
      .filter(({ messageType }) => messageType === ERROR);
    assert(errors.every(({ componentType, value }) => componentType === 1 && [0, 4, 5].includes(value)));
    for (const status of [0, 4, 5])
      assert(
        errors.some(({ value }) => value === status),
        `status ${status}`,
      );
    assert(errors.length < 500, `${errors.length} errors`);
  });

  test('the GPS loses its fix for a while', () => {
    const fixes = statusValues(4, 1, 17);
    const lost = fixes.filter((fix) => fix === 0).length;
    assert(lost > 0 && lost < 100, `${lost} of ${fixes.length}`);
    assert.notEqual(fixes.at(0), 0);
  });
});

describe('a COMMAND', () => {
  const cases: [string, CanFrame, nodeIds: number[]][] = [
    ['front lights on', command(0x10, 0x00, 0, 0, 0, 0x20, 0, 0, 1), [4]],
    ['all lights: signal left', command(0x10, 0x00, 0, 255, 1, 0x20, 0, 0, 1), [4]],
    ['rear left motor off', command(0x10, 0x08, 0, 0, 5, 0x00, 0, 0, 0), [2]],
    ['front right motor: eco', command(0x10, 0x08, 0, 3, 4, 0x20, 0, 0, 3), [3]],
    ['all motors: limp home', command(0x10, 0x08, 0, 255, 6, 0x20, 0, 0, 2), [2, 3]],
    ['controls: sport', command(0x10, 0x18, 0, 0, 3, 0x20, 0, 0, 3), [1]],
    ['GPS at 10 Hz', command(0x10, 0x20, 0, 1, 60, 0x20, 0, 0, 10), [5]],
    ['PING', command(0x10, 0x28, 0, 4, 4, 0x60, 0x12, 0x34, 0x56), [1, 2, 3, 4, 5, 6]],
    ['SET_TIME of node 3', command(3, 0x28, 0, 4, 7, 0x60, 1, 2, 3), [3]],
    ['a reading', command(0x10, 0x08, 0, 0, 1, 0x40, 0, 4, 0), []],
    ['a mode that does not exist', command(0x10, 0x08, 0, 0, 4, 0x20, 0, 0, 77), []],
    ['a component that does not exist', command(0x10, 0x08, 0, 9, 4, 0x20, 0, 0, 1), []],
    ['a STATUS of another', command(0x10, 0x48, 0, 0, 4, 0x20, 0, 0, 1), []],
    ['a short frame', command(0x10, 0x08, 0, 0, 4), []],
  ];
  for (const [name, frame, nodeIds] of cases) {
    test(`is echoed by those it concerns: ${name}`, () => {
      const untouched = answersTo(null);
      const answers = answersTo(frame).filter((answer) => !untouched.includes(answer));
      const wanted = [...frame.payload];
      wanted[0] = wanted[0]! | (STATUS << 6);
      // PING is answered with PONG.
      if (frame.payload[0] === 0x28 && frame.payload[3] === 4) wanted[3] = 5;
      const echoes = nodeIds.map((nodeId) => `${nodeId}: ${wanted.join(' ')}`);
      assert.deepEqual(
        answers.filter((answer) => !answer.includes(': 136 ')),
        echoes,
      );
    });
  }

  /** What the nodes say in the 5 ms after a frame, without the IMU and their time since the last sync. */
  function answersTo(frame: CanFrame | null): string[] {
    const kart = new SimulatedKart({ seed: 1 });
    const batch = FrameBatch.allocate(2000);
    kart.emit(batch, 1_203_000, 0);
    batch.count = 0;
    if (frame !== null) assert(kart.receive(frame));
    kart.emit(batch, 1_208_000, 0);
    return Array.from({ length: batch.count }, (_, i) => {
      const payload = batch.payload.subarray(8 * i, 8 * i + 8);
      payload[1] = 0;
      return `${batch.canId[i]}: ${payload.join(' ')}`;
    }).filter((answer) => !answer.startsWith('5: 96 0 0 '));
  }

  test('counts by the bits of its value type alone', () => {
    const answers = answersTo(command(0x10, 0x08, 0, 0, 4, 0x20, 0xff, 0xff, 3));
    assert(answers.includes('2: 72 0 0 4 32 0 0 3'));
  });

  test('changes the kart: motors that are disabled stop it', () => {
    const kart = new SimulatedKart({ seed: 1 });
    const batch = FrameBatch.allocate(60_000);
    kart.emit(batch, 15e6, 0);
    kart.receive(command(0x10, 0x08, 0, 255, 5, 0x00, 0, 0, 0));
    batch.count = 0;
    kart.emit(batch, 80e6, 0);
    const rpm = messagesOf(batch).filter(
      ({ componentType, componentId, commandId }) =>
        componentType === 1 && componentId === 0 && commandId === 1,
    );
    assert(rpm[0]!.value > 300);
    assert(rpm.at(-1)!.value < 5);
  });

  test('SET_TIME starts the clock of its node alone', () => {
    const kart = new SimulatedKart({ seed: 1 });
    const batch = FrameBatch.allocate(2000);
    kart.emit(batch, 1e6, 0);
    kart.receive(command(2, 0x28, 0, 4, 7, 0x60, 0, 0, 1));
    batch.count = 0;
    kart.emit(batch, 1.9e6, 0);
    for (const { nodeId, sinceSyncMs, timestampUs } of messagesOf(batch)) {
      const wanted = nodeId === 2 ? Math.floor((timestampUs - 1e6) / 1000) % 256 : 0;
      assert(Math.abs(sinceSyncMs - wanted) <= 2, `node ${nodeId}: ${sinceSyncMs} ms at ${timestampUs}`);
    }
  });

  test('is refused when too many wait for their answers, and heard again later', () => {
    const kart = new SimulatedKart({ seed: 1 });
    const ping = command(0x10, 0x28, 0, 4, 4, 0x60, 0, 0, 1);
    let heard = 0;
    while (kart.receive(ping)) heard++;
    assert(heard > 10 && heard < 100);
    kart.emit(FrameBatch.allocate(1000), 1e6, 0);
    assert(kart.receive(ping));
  });
});

describe('the driver', () => {
  const EPOCH_US = 1_764_000_000_000_000;

  /** A driver on clocks that only waiting moves. */
  function onFakeClocks(rate: number) {
    const clocks = { monotonicMs: 5000, wallUs: EPOCH_US };
    const pass = (ms: number) => {
      clocks.monotonicMs += ms;
      clocks.wallUs += Math.round(ms * 1000);
    };
    const driver = new SimulatedKartDriver({
      seed: 1,
      rate,
      wait: pass,
      nowUs: () => clocks.wallUs,
      monotonicMs: () => clocks.monotonicMs,
    });
    return { driver, clocks, pass };
  }

  function readFor(driver: SimulatedKartDriver, steps: number, capacity = 512): number[] {
    const timestampsUs: number[] = [];
    const batch = FrameBatch.allocate(capacity);
    for (let i = 0; i < steps; i++) {
      batch.count = 0;
      assert.equal(driver.read(batch), 'more');
      timestampsUs.push(...batch.timestampUs.subarray(0, batch.count));
    }
    return timestampsUs;
  }

  for (const [rate, framesLeast, framesMost] of [
    [1, 1900, 2100],
    [10, 19_000, 21_000],
    [0.5, 900, 1100],
  ] as const) {
    test(`plays at rate ${rate} with wall-clock timestamps`, () => {
      const { driver } = onFakeClocks(rate);
      driver.open();
      const timestampsUs = readFor(driver, 300);
      assert(timestampsUs.length > framesLeast && timestampsUs.length < framesMost, `${timestampsUs.length}`);
      for (let i = 1; i < timestampsUs.length; i++) assert(timestampsUs[i]! > timestampsUs[i - 1]!);
      assert(timestampsUs[0]! >= EPOCH_US);
      assert(Math.abs(timestampsUs.at(-1)! - (EPOCH_US + 3e6)) < 60_000);
      driver.close();
    });
  }

  test('goes on where a batch was full', () => {
    const small = onFakeClocks(1);
    const large = onFakeClocks(1);
    small.driver.open();
    large.driver.open();
    const frames = readFor(small.driver, 2000, 3).slice(0, 500);
    assert.deepEqual(frames, readFor(large.driver, 300).slice(0, 500));
  });

  test('leaves a stall out instead of catching up, and counts it', () => {
    const { driver, pass } = onFakeClocks(1);
    driver.open();
    readFor(driver, 100);
    pass(60_000);
    const timestampsUs = readFor(driver, 1);
    assert(timestampsUs.length < 50);
    for (const timestampUs of timestampsUs) assert(timestampUs > EPOCH_US + 60e6);
    const { skips, skipped_s } = driver.status();
    assert.equal(skips, 1);
    assert(Number(skipped_s) > 59 && Number(skipped_s) <= 60);
  });

  test('follows a wall clock that is set forward, and is not turned round by one that is set back', () => {
    const { driver, clocks } = onFakeClocks(1);
    driver.open();
    const before = readFor(driver, 50);
    clocks.wallUs += 3600e6;
    const forward = readFor(driver, 50);
    assert(forward[0]! > before.at(-1)! + 3599e6);
    clocks.wallUs -= 7200e6;
    const back = readFor(driver, 50);
    assert(back[0]! > forward.at(-1)!);
  });

  test('comes back at once when it is woken early', () => {
    const driver = new SimulatedKartDriver({
      seed: 1,
      rate: 1,
      wait: () => {},
      nowUs: () => EPOCH_US,
      monotonicMs: () => 0,
    });
    driver.open();
    assert.deepEqual(readFor(driver, 3), []);
  });

  test('answers after it was asked, however late in a step that was', () => {
    const { driver, clocks, pass } = onFakeClocks(1);
    driver.open();
    readFor(driver, 20);
    for (let i = 0; i < 20; i++) {
      pass(9.5);
      const askedUs = clocks.wallUs;
      driver.send(command(0x10, 0x28, 0, 4, 4, 0x60, 0, 0, i));
      const batch = FrameBatch.allocate(512);
      driver.read(batch);
      driver.read(batch);
      const pongs = messagesOf(batch).filter(
        ({ componentType, commandId }) => componentType === 5 && commandId === 5,
      );
      assert.equal(pongs.length, 6);
      for (const pong of pongs) {
        assert.equal(pong.value, i);
        assert(pong.timestampUs > askedUs && pong.timestampUs < askedUs + 10_000);
      }
    }
  });

  test('gives back what was sent, marked as own, at its time among the others', () => {
    const { driver, clocks, pass } = onFakeClocks(1);
    driver.open();
    readFor(driver, 20);
    pass(3.25);
    const askedUs = clocks.wallUs;
    const ping = command(0x10, 0x28, 0, 4, 4, 0x60, 0, 0, 1);
    driver.send(ping);
    driver.send({ canId: 0x1234_5678, isExtended: true, payload: Uint8Array.of(1, 2, 3) });
    const batch = FrameBatch.allocate(512);
    driver.read(batch);
    driver.read(batch);
    const own = Array.from({ length: batch.count }, (_, at) => at).filter((at) => batch.flags[at] !== 0);
    assert.deepEqual(
      own.map((at) => [batch.canId[at], batch.flags[at], [...batch.payloadOf(at)]]),
      [
        [0x10, FRAME_FLAG.OWN, [...ping.payload]],
        [0x1234_5678, FRAME_FLAG.OWN | FRAME_FLAG.EXTENDED, [1, 2, 3]],
      ],
    );
    assert.ok(own.every((at) => Math.abs(batch.timestampUs[at]! - askedUs) <= 1));
    for (let at = 1; at < batch.count; at++) assert.ok(batch.timestampUs[at]! >= batch.timestampUs[at - 1]!);
    driver.close();
    driver.open();
    driver.read(batch);
    assert.equal(Array.from(batch.flags.subarray(0, batch.count)).filter(Boolean).length, own.length);
  });

  test('gives back no frame twice, however small the batches', () => {
    const { driver, pass } = onFakeClocks(1);
    driver.open();
    readFor(driver, 20);
    for (let value = 0; value < 5; value++) {
      pass(2);
      driver.send(command(0x10, 0x28, 0, 4, 4, 0x60, 0, 0, value));
    }
    const values: number[] = [];
    for (let read = 0; read < 200; read++) {
      const batch = FrameBatch.allocate(3);
      driver.read(batch);
      for (let at = 0; at < batch.count; at++) {
        if (batch.flags[at] === FRAME_FLAG.OWN) values.push(batch.payloadOf(at)[7]!);
      }
    }
    assert.deepEqual(values, [0, 1, 2, 3, 4]);
  });

  test('is busy while it has as much to give back as it can hold', () => {
    const { driver } = onFakeClocks(1);
    driver.open();
    const frame = { canId: 1, isExtended: false, payload: Uint8Array.of() };
    for (let count = 0; count < SEND_QUEUE_FRAMES_MAX; count++) assert.equal(driver.send(frame), 'sent');
    assert.equal(driver.send(frame), 'busy');
    readFor(driver, 20);
    assert.equal(driver.send(frame), 'sent');
  });

  test('counts the milliseconds since SET_TIME by its timestamps, at any rate', () => {
    for (const rate of [0.5, 1, 8]) {
      const { driver, clocks, pass } = onFakeClocks(rate);
      driver.open();
      readFor(driver, 20);
      pass(1);
      const setUs = clocks.wallUs;
      driver.send(command(2, 0x28, 0, 4, 7, 0x60, 0, 0, 1));
      const batch = FrameBatch.allocate(4096);
      for (let step = 0; step < 60; step++) driver.read(batch);
      const ofNode = messagesOf(batch).filter(
        ({ nodeId, messageType, timestampUs }) =>
          nodeId === 2 && messageType === STATUS && timestampUs > setUs,
      );
      assert.ok(ofNode.length > 5);
      for (const { sinceSyncMs, timestampUs } of ofNode) {
        const expected = Math.floor((timestampUs - setUs) / 1000) & 0xff;
        assert.ok(
          ((sinceSyncMs - expected + 257) & 0xff) <= 2,
          `${sinceSyncMs}, ${expected} at rate ${rate}`,
        );
      }
    }
  });

  test('passes frames to the kart, and refuses them when closed', () => {
    const { driver } = onFakeClocks(1);
    const ping = command(0x10, 0x28, 0, 4, 4, 0x60, 0, 0, 1);
    assert.throws(() => driver.send(ping), { name: BusError.name, code: 'BUS_SEND_FAILED' });
    driver.open();
    driver.send(ping);
    const batch = FrameBatch.allocate(512);
    driver.read(batch);
    assert.equal(
      messagesOf(batch).filter(({ commandId, componentType }) => componentType === 5 && commandId === 5)
        .length,
      6,
    );
    assert.equal(driver.status().frames_heard, 1);
    assert.equal(driver.status().simulated, true);
    driver.close();
    assert.throws(() => driver.read(batch), { code: 'BUS_LOST' });
  });
});

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
