import {
  BATTERY_ACCESSORY,
  DIRECTION,
  EMERGENCY,
  GPS_FIX,
  LIGHT,
  LIGHT_MODE,
  LIGHTS_SWITCH,
  MOTOR,
  MOTOR_MODE,
  MOTOR_STATUS,
  NAVIGATION,
  SIGNAL,
  UPLINK,
} from './kart-wire.ts';
import { Racer } from './racer.ts';
import { noise, type Random } from './random.ts';
import { altitudeM, latitudeDeg, layTrack, longitudeDeg, type Track } from './track.ts';

/** One step of the model: short against everything a kart does, and 100 steps a second cost nothing. */
export const MODEL_STEP_US = 10_000;

const STEP_S = MODEL_STEP_US / 1e6;
const STEPS_PER_S = 1e6 / MODEL_STEP_US;
const STEPS_PER_GPS_FIX = STEPS_PER_S / 5;

/** The kart: with its driver. */
const MASS_KG = 220;
const WHEEL_RADIUS_M = 0.14;
const TRACK_WIDTH_M = 1.1;
const ROLLING_RESISTANCE_N = 32;
const AIR_DRAG_N_PER_M2_PER_S2 = 0.42;
const BRAKES_MAX_N = 1100;

/** A hub motor: power-limited above walking pace, so that its current fits its wires. */
const REAR_TORQUE_MAX_NM = 45;
const FRONT_TORQUE_MAX_NM = 30;
const REGENERATION_TORQUE_MAX_NM = 11;
const MOTOR_POWER_MAX_W = 940;
const MOTOR_IDLE_W = 6;
const COPPER_LOSS_W_PER_NM2 = 0.15;
const IRON_LOSS = 0.07;
const TORQUE_RISE_S = 0.06;
const SLIP_PER_NM = 0.0006;
const MOTOR_HEAT_CAPACITY_J_PER_K = 900;
const MOTOR_COOLING_W_PER_K = 1.7;
const MOTOR_COOLING_W_S_PER_K_M = 0.14;
const OVERTEMPERATURE_C = 95;
const OVERTEMPERATURE_CLEARED_C = 85;
const OVERHEATING_W = 700;

/** A 13-cell lithium pack per motor. */
const PACK_CAPACITY_A_S = 10 * 3600;
const PACK_EMPTY_V = 43;
const PACK_SWING_V = 10.5;
const PACK_RESISTANCE_OHM = 0.045;
/** The sag that builds up under load and recovers in rest. */
const PACK_SLOW_RESISTANCE_OHM = 0.06;
const PACK_RECOVERY_S = 25;
const PACK_HEAT_CAPACITY_J_PER_K = 3500;
const PACK_COOLING_W_PER_K = 1.2;
/** Below it the crew puts fresh packs in at the next stop. */
const PACK_SWAP_CHARGE = 0.2;

const ACCESSORY_CAPACITY_A_S = 40 * 3600;
const ACCESSORY_EMPTY_V = 11.9;
const ACCESSORY_SWING_V = 1.3;
const ACCESSORY_RESISTANCE_OHM = 0.03;
const ELECTRONICS_A = 1.9;

/** Blinkers: 90 flashes a minute. */
const BLINK_PERIOD_S = 2 / 3;

/** What the underglow shows. */
const PATTERN_WAVE = 4;
const COLOR_CYAN = 6;

const FAULT_EVERY_S_MIN = 45;
const FAULT_EVERY_S_SPREAD = 90;

/** How much of the pedal each MOTOR_MODE passes on. */
const MODE_SHARE = [0.4, 0.7, 1, 0.6, 1, 0.8, 0];
/** And each EMERGENCY. */
const EMERGENCY_SHARE = [1, 0, 0.4, 0];

const LIGHT_IDS = Object.values(LIGHT);

export interface Motor {
  isEnabled: boolean;
  mode: number;
  direction: number;
  emergency: number;
  /** BRAKE_ON by command, whatever the pedal does. */
  isBrakeHeld: boolean;
  isBraking: boolean;
  throttlePercent: number;
  torqueNm: number;
  rpm: number;
  temperatureC: number;
  /** Positive when it drives, negative when it regenerates. */
  currentA: number;
  status: number;
  overheatingS: number;
}

export interface Battery {
  /** 0 empty to 1 full. */
  charge: number;
  voltageV: number;
  /** Negative when it is drained. */
  currentA: number;
  slowSagV: number;
  temperatureC: number;
}

export interface Light {
  mode: number;
  signal: number;
  intensityPercent: number;
  pattern: number;
  color: number;
  isBraking: boolean;
  voltageV: number;
  currentA: number;
  temperatureC: number;
}

/**
 * What is physically there: the kart, its driver and the track, moved on in fixed steps. It knows
 * quantities, in SI units where the name doesn't say otherwise, and nothing of frames.
 */
export class KartModel {
  timeS = 0;
  readonly racer: Racer;
  readonly motors: Motor[] = [];
  readonly batteries: Battery[] = [];
  readonly lights: Record<(typeof LIGHT)[keyof typeof LIGHT], Light>;

  odometerM = 0;
  speedMPerS = 0;
  forwardAccelMPerS2 = 0;
  leftAccelMPerS2 = 0;
  yawRateRadPerS = 0;
  pitchRateRadPerS = 0;
  rollRateRadPerS = 0;
  imuTemperatureC = 31;

  /** The last fix; a receiver that lost the sky repeats it. */
  readonly gps = {
    latitudeDeg: 0,
    longitudeDeg: 0,
    altitudeM: 0,
    speedKmPerH: 0,
    courseDeg: 0,
    satellites: 10,
    hdop: 0.9,
    fix: GPS_FIX.ACQUIRED as number,
  };
  ambientC = 24;
  humidityPercent = 38;

  readonly esp32 = { temperatureC: 47, cpuPercent: 28, memoryFreeKiB: 168, stackFreeBytes: 2340 };
  readonly raspberryPi = {
    temperatureC: 52,
    cpuPercent: 22,
    memoryFreeKiB: 2_610_000,
    diskPercent: 37,
    sentKbps: 0,
    receivedKbps: 0,
    rssiDbm: -45,
  };
  readonly uplink = { status: UPLINK.CONNECTED as number, queueRecords: 0, latencyMs: 60 };

  /** Set by commands: modes of the control unit, and the navigation node's settings by command id. */
  controlsMode = 0;
  controlsEmergency = 0;
  isControlsEnabled = true;
  readonly navigationSettings = new Uint8Array(64);

  readonly #track: Track = layTrack();
  readonly #random: Random;
  #steps = 0;
  #gpsErrorEastM = 0;
  #gpsErrorNorthM = 0;
  #skyLostUntilS = 0;
  #uplinkLostUntilS = 0;
  #hallGlitchUntilS = 0;
  #nextFaultAtS: number;
  #faults: number;

  constructor(random: Random) {
    this.#random = random;
    this.racer = new Racer(this.#track, random);
    this.#nextFaultAtS = FAULT_EVERY_S_MIN + FAULT_EVERY_S_SPREAD * random();
    this.#faults = Math.floor(4 * random());
    for (let i = 0; i < 4; i++) this.motors.push(coldMotor(this.ambientC + 2 + 6 * random()));
    for (let i = 0; i < 5; i++) {
      this.batteries.push(freshBattery(0.8 + 0.2 * random(), this.ambientC + 2 * random()));
    }
    this.lights = {
      [LIGHT.FRONT]: newLight(this.ambientC),
      [LIGHT.REAR]: newLight(this.ambientC),
      [LIGHT.INTERIOR]: newLight(this.ambientC),
      [LIGHT.AUXILIARY]: newLight(this.ambientC),
      [LIGHT.UNDERGLOW]: {
        ...newLight(this.ambientC),
        mode: LIGHT_MODE.PULSE,
        intensityPercent: 30,
        pattern: PATTERN_WAVE,
        color: COLOR_CYAN,
      },
    };
    this.navigationSettings[NAVIGATION.ACCELEROMETER_RANGE] = 1;
    this.navigationSettings[NAVIGATION.GYROSCOPE_RANGE] = 1;
    this.navigationSettings[NAVIGATION.FILTER_BANDWIDTH] = 3;
    this.navigationSettings[NAVIGATION.GPS_UPDATE_RATE] = 5;
    this.navigationSettings[NAVIGATION.GNSS_CONSTELLATION] = 4;
    this.#updateGps();
    this.#updateMotorsAndPacks();
    this.#updateLights();
    this.#updateComputers();
  }

  /** Moves everything on by MODEL_STEP_US. */
  step(): void {
    this.#steps++;
    this.timeS = this.#steps / STEPS_PER_S;
    this.racer.step(this.timeS, STEP_S, this.odometerM, this.speedMPerS);
    this.#updateMotorsAndPacks();
    this.#move();
    if (this.#steps % STEPS_PER_GPS_FIX === 0) this.#updateGps();
    if (this.#steps % (STEPS_PER_S / 10) === 0) this.#updateLights();
    if (this.#steps % STEPS_PER_S === 0) {
      this.#updateFaults();
      this.#updateComputers();
    }
  }

  /** What the voltmeter of a motor sees: its pack, less the cable. */
  motorVoltageV(motorIndex: number): number {
    return this.batteries[motorIndex + 1]!.voltageV - 0.01 * this.motors[motorIndex]!.currentA;
  }

  #updateMotorsAndPacks(): void {
    const { racer, speedMPerS } = this;
    const curvature = this.#track.curvature(this.odometerM);
    for (let i = 0; i < 4; i++) {
      const motor = this.motors[i]!;
      const pack = this.batteries[i + 1]!;
      const isRear = i === MOTOR.LEFT_REAR || i === MOTOR.RIGHT_REAR;
      const isLeft = i === MOTOR.LEFT_REAR || i === MOTOR.LEFT_FRONT;

      const wheelMPerS = speedMPerS * (1 + (isLeft ? -0.5 : 0.5) * TRACK_WIDTH_M * curvature);
      const radPerS = (wheelMPerS / WHEEL_RADIUS_M) * (1 + SLIP_PER_NM * motor.torqueNm);
      motor.rpm = (radPerS * 60) / (2 * Math.PI);
      motor.isBraking = motor.isBrakeHeld || racer.isBrakePressed;

      const canDrive = motor.isEnabled && motor.direction === DIRECTION.FORWARD;
      const share = canDrive ? MODE_SHARE[motor.mode]! * EMERGENCY_SHARE[motor.emergency]! : 0;
      motor.throttlePercent = 100 * racer.throttle * share;
      let wanted = (motor.throttlePercent / 100) * (isRear ? REAR_TORQUE_MAX_NM : FRONT_TORQUE_MAX_NM);
      if (motor.isBraking && motor.isEnabled) {
        // Regeneration fades out at walking pace, where there is nothing left to gain.
        const pedal = motor.isBrakeHeld ? 1 : Math.min(1, 2 * racer.brake);
        wanted = -REGENERATION_TORQUE_MAX_NM * pedal * Math.min(1, radPerS / 20);
      }
      const powerLimitNm = MOTOR_POWER_MAX_W / Math.max(radPerS, 1);
      motor.torqueNm += (Math.min(wanted, powerLimitNm) - motor.torqueNm) * (STEP_S / TORQUE_RISE_S);

      const mechanicalW = motor.torqueNm * radPerS;
      const lossW = COPPER_LOSS_W_PER_NM2 * motor.torqueNm ** 2 + IRON_LOSS * Math.abs(mechanicalW);
      motor.currentA = (mechanicalW + lossW + MOTOR_IDLE_W) / pack.voltageV;
      const heatW = lossW + (motor.overheatingS > 0 ? OVERHEATING_W : 0);
      const coolingW =
        (MOTOR_COOLING_W_PER_K + MOTOR_COOLING_W_S_PER_K_M * speedMPerS) *
        (motor.temperatureC - this.ambientC);
      motor.temperatureC += ((heatW - coolingW) * STEP_S) / MOTOR_HEAT_CAPACITY_J_PER_K;

      const drainA = motor.currentA;
      pack.currentA = -drainA;
      pack.charge = Math.min(1, Math.max(0, pack.charge - (drainA * STEP_S) / PACK_CAPACITY_A_S));
      pack.slowSagV += (drainA * PACK_SLOW_RESISTANCE_OHM - pack.slowSagV) * (STEP_S / PACK_RECOVERY_S);
      pack.voltageV =
        PACK_EMPTY_V + PACK_SWING_V * pack.charge - drainA * PACK_RESISTANCE_OHM - pack.slowSagV;
      const packHeatW = drainA * drainA * (PACK_RESISTANCE_OHM + PACK_SLOW_RESISTANCE_OHM);
      const packCoolingW = PACK_COOLING_W_PER_K * (pack.temperatureC - this.ambientC);
      pack.temperatureC += ((packHeatW - packCoolingW) * STEP_S) / PACK_HEAT_CAPACITY_J_PER_K;
    }
    const accessory = this.batteries[BATTERY_ACCESSORY]!;
    let drainA = ELECTRONICS_A;
    for (const lightId of LIGHT_IDS) drainA += this.lights[lightId].currentA;
    accessory.currentA = -drainA;
    accessory.charge = Math.max(0, accessory.charge - (drainA * STEP_S) / ACCESSORY_CAPACITY_A_S);
    accessory.voltageV =
      ACCESSORY_EMPTY_V + ACCESSORY_SWING_V * accessory.charge - drainA * ACCESSORY_RESISTANCE_OHM;
  }

  #move(): void {
    let forceN = 0;
    for (const motor of this.motors) forceN += motor.torqueNm / WHEEL_RADIUS_M;
    if (this.speedMPerS > 0) {
      forceN -= ROLLING_RESISTANCE_N + AIR_DRAG_N_PER_M2_PER_S2 * this.speedMPerS ** 2;
      forceN -= BRAKES_MAX_N * this.racer.brake;
    }
    const before = this.speedMPerS;
    this.speedMPerS = Math.max(0, before + (forceN / MASS_KG) * STEP_S);
    this.odometerM += this.speedMPerS * STEP_S;

    const forward = (this.speedMPerS - before) / STEP_S;
    const yawRate = this.speedMPerS * this.#track.curvature(this.odometerM);
    const left = this.speedMPerS * yawRate;
    // The body follows its springs: it pitches and rolls with the change of what pushes it.
    this.pitchRateRadPerS += 0.2 * (-0.02 * (forward - this.forwardAccelMPerS2) - this.pitchRateRadPerS);
    this.rollRateRadPerS += 0.2 * (0.03 * (left - this.leftAccelMPerS2) - this.rollRateRadPerS);
    this.forwardAccelMPerS2 = forward;
    this.leftAccelMPerS2 = left;
    this.yawRateRadPerS = yawRate;
  }

  #updateGps(): void {
    const { gps } = this;
    const random = this.#random;
    // The error of a receiver wanders; it doesn't jump about.
    this.#gpsErrorEastM = 0.98 * this.#gpsErrorEastM + noise(random, 0.4);
    this.#gpsErrorNorthM = 0.98 * this.#gpsErrorNorthM + noise(random, 0.4);
    if (this.timeS < this.#skyLostUntilS) {
      gps.satellites = Math.floor(4 * random());
      gps.hdop = 99.99;
      gps.fix = GPS_FIX.NO_FIX;
      return;
    }
    if (random() < 0.03) gps.satellites += random() < 0.5 ? -1 : 1;
    gps.satellites = Math.min(14, Math.max(7, gps.satellites));
    gps.hdop = 0.6 + 3.5 / gps.satellites + noise(random, 0.03);
    gps.fix = gps.satellites >= 12 ? GPS_FIX.DIFFERENTIAL : GPS_FIX.ACQUIRED;
    const eastM = this.#track.eastM(this.odometerM);
    const northM = this.#track.northM(this.odometerM);
    gps.latitudeDeg = latitudeDeg(northM + this.#gpsErrorNorthM);
    gps.longitudeDeg = longitudeDeg(eastM + this.#gpsErrorEastM);
    gps.altitudeM = altitudeM(northM) + noise(random, 0.6);
    gps.speedKmPerH = Math.max(0, this.speedMPerS * 3.6 + noise(random, 0.3));
    // Standing still there is no course to measure, and receivers keep the last one.
    if (this.speedMPerS > 0.5) {
      gps.courseDeg = (this.#track.courseDeg(this.odometerM) + noise(random, 0.8) + 360) % 360;
    }
  }

  #updateLights(): void {
    const accessoryV = this.batteries[BATTERY_ACCESSORY]!.voltageV;
    const isBlinkOn = this.timeS % BLINK_PERIOD_S < BLINK_PERIOD_S / 2;
    for (const lightId of LIGHT_IDS) {
      const light = this.lights[lightId];
      let currentA = 0;
      if (light.mode === LIGHT_MODE.DIM) currentA = 0.7;
      else if (light.mode === LIGHT_MODE.BRIGHT) currentA = 3.1;
      else if (light.mode === LIGHT_MODE.HAZARD || light.mode === LIGHT_MODE.FLASH)
        currentA = isBlinkOn ? 1.8 : 0;
      else if (light.mode !== LIGHT_MODE.OFF) currentA = 1.9;
      currentA *= light.intensityPercent / 100;
      if (light.signal !== SIGNAL.NONE && isBlinkOn) currentA += 0.9;
      if (light.isBraking) currentA += 1.4;
      light.currentA = currentA;
      light.voltageV = accessoryV - 0.06 * currentA;
      // Towards its steady temperature within about a minute and a half.
      light.temperatureC += (this.ambientC + 9 * currentA - light.temperatureC) * 0.0011;
    }
  }

  /** Once a second: the passing faults, one at a time. */
  #updateFaults(): void {
    const random = this.#random;
    const { timeS } = this;
    for (const motor of this.motors) {
      if (motor.overheatingS > 0) motor.overheatingS--;
      if (motor.status === MOTOR_STATUS.OVERTEMP && motor.temperatureC < OVERTEMPERATURE_CLEARED_C) {
        motor.status = MOTOR_STATUS.OK;
        motor.emergency = EMERGENCY.NORMAL;
      } else if (motor.status === MOTOR_STATUS.HALL_SENSOR && timeS >= this.#hallGlitchUntilS) {
        motor.status = MOTOR_STATUS.OK;
      }
      if (motor.status !== MOTOR_STATUS.OVERTEMP && motor.temperatureC > OVERTEMPERATURE_C) {
        motor.status = MOTOR_STATUS.OVERTEMP;
        motor.overheatingS = 0;
        if (motor.emergency === EMERGENCY.NORMAL) motor.emergency = EMERGENCY.LIMP_HOME;
      }
    }
    if (timeS < this.#nextFaultAtS) return;
    this.#nextFaultAtS = timeS + FAULT_EVERY_S_MIN + FAULT_EVERY_S_SPREAD * random();
    // In turn, so that a drive of ten minutes shows each of them.
    const kind = this.#faults++ % 4;
    const motor = this.motors[Math.floor(random() * 4)]!;
    const lastsS = 3 + 7 * random();
    if (kind === 0) motor.overheatingS = 150;
    else if (kind === 1) this.#skyLostUntilS = timeS + lastsS;
    else if (kind === 2) this.#uplinkLostUntilS = timeS + 2 * lastsS;
    else if (motor.status === MOTOR_STATUS.OK) {
      motor.status = MOTOR_STATUS.HALL_SENSOR;
      this.#hallGlitchUntilS = timeS + 2;
    }
  }

  /** Once a second: weather, computers, the link home, and the crew at the pit. */
  #updateComputers(): void {
    const random = this.#random;
    const { esp32, raspberryPi, uplink, timeS } = this;
    this.ambientC = 24 + 3 * Math.sin((2 * Math.PI * timeS) / 5400);
    this.humidityPercent = 38 - 4 * Math.sin((2 * Math.PI * timeS) / 5400) + noise(random, 0.3);
    this.imuTemperatureC += (this.ambientC + 9 - this.imuTemperatureC) * 0.01;

    esp32.cpuPercent = Math.min(95, Math.max(8, 28 + 0.8 * this.speedMPerS + noise(random, 6)));
    esp32.temperatureC += (this.ambientC + 16 + 0.3 * esp32.cpuPercent - esp32.temperatureC) * 0.05;
    esp32.memoryFreeKiB = 168 + noise(random, 6);
    if (random() < 0.002 && esp32.stackFreeBytes > 1600) esp32.stackFreeBytes -= 16;

    raspberryPi.cpuPercent = Math.min(100, Math.max(3, 22 + noise(random, 12) + (random() < 0.02 ? 45 : 0)));
    raspberryPi.temperatureC +=
      (this.ambientC + 22 + 0.3 * raspberryPi.cpuPercent - raspberryPi.temperatureC) * 0.05;
    raspberryPi.memoryFreeKiB = 2_610_000 + noise(random, 40_000);
    raspberryPi.diskPercent = Math.min(90, 37 + timeS / 3600);

    // The access point stands at the pit.
    const pitDistanceM = Math.hypot(
      this.#track.eastM(this.odometerM) - this.#track.eastM(0),
      this.#track.northM(this.odometerM) - this.#track.northM(0),
    );
    raspberryPi.rssiDbm = -38 - 18 * Math.log10(1 + pitDistanceM / 4) + noise(random, 3);
    const wasLost = uplink.status === UPLINK.DISCONNECTED;
    const isLost = timeS < this.#uplinkLostUntilS;
    uplink.status = isLost ? UPLINK.DISCONNECTED : wasLost ? UPLINK.CONNECTING : UPLINK.CONNECTED;
    if (uplink.status === UPLINK.CONNECTED) {
      uplink.queueRecords = Math.max(0, uplink.queueRecords - 1500 + Math.floor(40 * random()));
      uplink.latencyMs = Math.max(12, 58 + noise(random, 30) - (raspberryPi.rssiDbm + 45));
      raspberryPi.sentKbps = 180 + noise(random, 40) + (uplink.queueRecords > 0 ? 220 : 0);
      raspberryPi.receivedKbps = 22 + noise(random, 10);
    } else {
      uplink.queueRecords += 600;
      raspberryPi.sentKbps = 0;
      raspberryPi.receivedKbps = 0;
    }

    if (!this.racer.isParked) return;
    for (let i = 0; i < 5; i++) {
      if (this.batteries[i]!.charge < PACK_SWAP_CHARGE) {
        this.batteries[i] = freshBattery(0.94 + 0.06 * random(), this.ambientC);
      }
    }
  }
}

/** The light mode that a position of the lights switch asks for. */
export function lightModeOfSwitch(position: number): number {
  if (position === LIGHTS_SWITCH.LOW) return LIGHT_MODE.DIM;
  if (position === LIGHTS_SWITCH.HIGH) return LIGHT_MODE.BRIGHT;
  return position === LIGHTS_SWITCH.ON ? LIGHT_MODE.ON : LIGHT_MODE.OFF;
}

function coldMotor(temperatureC: number): Motor {
  return {
    isEnabled: false,
    mode: MOTOR_MODE.MEDIUM,
    direction: DIRECTION.NEUTRAL,
    emergency: EMERGENCY.NORMAL,
    isBrakeHeld: false,
    isBraking: false,
    throttlePercent: 0,
    torqueNm: 0,
    rpm: 0,
    temperatureC,
    currentA: 0,
    status: MOTOR_STATUS.OK,
    overheatingS: 0,
  };
}

function freshBattery(charge: number, temperatureC: number): Battery {
  return { charge, voltageV: PACK_EMPTY_V + PACK_SWING_V * charge, currentA: 0, slowSagV: 0, temperatureC };
}

function newLight(temperatureC: number): Light {
  return {
    mode: LIGHT_MODE.OFF,
    signal: SIGNAL.NONE,
    intensityPercent: 100,
    pattern: 0,
    color: 0,
    isBraking: false,
    voltageV: 12.6,
    currentA: 0,
    temperatureC,
  };
}
