import { DIRECTION, LIGHTS_SWITCH, MOTOR_MODE, SIGNAL } from './kart-wire.ts';
import { noise, type Random } from './random.ts';
import type { Track } from './track.ts';

const FIRST_START_AFTER_S = 2;
/** How far ahead the eyes are: about the time a pedal takes to act. */
const LOOK_AHEAD_S = 0.35;
/** How fast a foot is, in pedal travels per second. */
const PEDAL_PRESS_PER_S = 4;
const PEDAL_RELEASE_PER_S = 7;
const PIT_BRAKING_M_PER_S2 = 1.8;
const PIT_SIGNAL_FROM_M = 60;
const BRAKE_SWITCH_ON = 0.06;
const BRAKE_SWITCH_OFF = 0.03;

/**
 * The person at the wheel: a few laps at a pace that changes from lap to lap, then a stop at the line,
 * and again. Holds what hands and feet do, and knows nothing of motors or of the bus.
 */
export class Racer {
  /** Pedals, 0 released to 1 pressed. */
  throttle = 0;
  brake = 1;
  /** In 1/m, what the wheel is turned to; positive to the left. */
  steering = 0;
  isBrakePressed = true;
  isReady = false;
  isParked = true;
  direction: number = DIRECTION.NEUTRAL;
  driveMode: number = MOTOR_MODE.MEDIUM;
  turnSignal: number = SIGNAL.NONE;
  isHazardOn = true;
  lightsSwitch: number = LIGHTS_SWITCH.OFF;

  readonly #track: Track;
  readonly #random: Random;
  #pace = 0.9;
  #lap = 0;
  #startAtS = FIRST_START_AFTER_S;
  #signalUntilS = 0;
  /** Where to stop, as the odometer will show it. */
  #pitAtM = 0;

  constructor(track: Track, random: Random) {
    this.#track = track;
    this.#random = random;
  }

  step(nowS: number, stepS: number, odometerM: number, speedMPerS: number): void {
    if (this.isParked && nowS >= this.#startAtS) this.#leave(nowS, odometerM);
    const toPitM = this.#pitAtM - odometerM;
    const wanted = this.isParked ? 0 : this.#wantedSpeed(odometerM, speedMPerS, toPitM);
    if (!this.isParked && toPitM < 3 && speedMPerS < 0.05) this.#park(nowS);
    if (!this.isParked) this.#signal(nowS, toPitM);

    const accel = wanted === 0 ? -4 : 2 * (wanted - speedMPerS);
    const brakeWish = accel < -1 ? Math.min(1, (-accel - 1) / 5) : 0;
    const throttleWish = brakeWish > 0 ? 0 : Math.min(1, Math.max(0, (accel + 0.5) / 4));
    this.throttle = moveFoot(this.throttle, throttleWish, stepS);
    this.brake = moveFoot(this.brake, brakeWish, stepS);
    this.isBrakePressed = this.brake > (this.isBrakePressed ? BRAKE_SWITCH_OFF : BRAKE_SWITCH_ON);
    // Hands correct all the time, the more the faster it goes.
    const line = this.isParked ? 0 : this.#track.curvature(odometerM + 2);
    this.steering += (line - this.steering) * Math.min(1, 8 * stepS) + noise(this.#random, 4e-5 * speedMPerS);
  }

  #wantedSpeed(odometerM: number, speedMPerS: number, toPitM: number): number {
    const lap = Math.floor(odometerM / this.#track.lengthM);
    if (lap !== this.#lap) {
      this.#lap = lap;
      this.#pace = 0.84 + 0.14 * this.#random();
    }
    const limit = this.#track.speedLimitMPerS(odometerM + speedMPerS * LOOK_AHEAD_S) * this.#pace;
    const pitLimit = Math.sqrt(2 * PIT_BRAKING_M_PER_S2 * Math.max(0, toPitM - 2));
    return pitLimit < 0.5 ? 0 : Math.min(limit, pitLimit);
  }

  #signal(nowS: number, toPitM: number): void {
    if (toPitM < PIT_SIGNAL_FROM_M) this.turnSignal = SIGNAL.RIGHT;
    else this.turnSignal = nowS < this.#signalUntilS ? SIGNAL.LEFT : SIGNAL.NONE;
  }

  #leave(nowS: number, odometerM: number): void {
    const laps = 3 + Math.floor(this.#random() * 5);
    this.#pitAtM = (Math.round(odometerM / this.#track.lengthM) + laps) * this.#track.lengthM;
    this.#signalUntilS = nowS + 4;
    this.isParked = false;
    this.isReady = true;
    this.isHazardOn = false;
    this.direction = DIRECTION.FORWARD;
    this.driveMode = this.#random() < 0.5 ? MOTOR_MODE.HIGH : MOTOR_MODE.SPORT;
    this.lightsSwitch = Math.floor(this.#random() * 4);
  }

  #park(nowS: number): void {
    this.#startAtS = nowS + 8 + 14 * this.#random();
    this.isParked = true;
    this.isHazardOn = true;
    this.direction = DIRECTION.NEUTRAL;
    this.driveMode = MOTOR_MODE.MEDIUM;
    this.turnSignal = SIGNAL.NONE;
  }
}

function moveFoot(pedal: number, wish: number, stepS: number): number {
  return Math.min(pedal + PEDAL_PRESS_PER_S * stepS, Math.max(pedal - PEDAL_RELEASE_PER_S * stepS, wish));
}
