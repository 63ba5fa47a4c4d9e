import type { KartModel } from './kart-model.ts';
import {
  BATTERIES,
  BATTERY_ACCESSORY,
  COMPONENT,
  COMPUTER,
  CONTROL,
  CONTROLS,
  LIGHT,
  LIGHTS,
  MOTOR,
  MOTORS,
  NAVIGATION,
  NODE,
  SENSOR,
  SYSTEM,
  VALUE,
} from './kart-wire.ts';

/** Sensor noise of up to an amplitude to either side. */
export type Noise = (amplitude: number) => number;

/** One kind of STATUS message: where it belongs and how its raw value is read off the kart. */
export interface Message {
  readonly componentType: number;
  readonly componentId: number;
  readonly commandId: number;
  readonly valueType: number;
  readonly read: (kart: KartModel, noise: Noise) => number;
}

/** Something a node does again and again: it wakes, reads its sensors and sends what they say, back to back. */
export interface Task {
  readonly nodeId: number;
  readonly periodMs: number;
  readonly messages: readonly Message[];
}

type Read = Message['read'];
type Reading = readonly [commandId: number, valueType: number, read: Read];

/** Steps in a degree of latitude or longitude: the circle in 24 bits. */
const STEPS_PER_DEGREE = 0x100_0000 / 360;

const GRAVITY_M_PER_S2 = 9.81;

/** Raw readings at the ends of a pedal's potentiometer; it never reaches the rails. */
const PEDAL_RELEASED_RAW = 38;
const PEDAL_PRESSED_RAW = 981;
const STEERING_CENTER_RAW = 512;
/** Raw steps per 1/m of turn: the wheel's stops are at a radius of about 6 m. */
const STEERING_RAW_M = 3000;

/** Seconds the computers had been on when the drive began. */
const RASPBERRY_PI_BOOTED_S = 312;
const ESP32_BOOTED_S = 298;

const { BOOLEAN, INT8, UINT8, INT16, UINT16, INT24, UINT24 } = VALUE;

function of(componentType: number, componentId: number, readings: readonly Reading[]): Message[] {
  return readings.map(([commandId, valueType, read]) => ({
    componentType,
    componentId,
    commandId,
    valueType,
    read,
  }));
}

function motorFast(id: number): Message[] {
  return of(COMPONENT.MOTORS, id, [
    [MOTORS.RPM, UINT16, (kart, noise) => kart.motors[id]!.rpm * (1 + noise(0.004))],
  ]);
}

function motorLoad(id: number): Message[] {
  return of(COMPONENT.MOTORS, id, [
    [MOTORS.THROTTLE, UINT8, (kart) => kart.motors[id]!.throttlePercent],
    [MOTORS.TORQUE, INT16, (kart, noise) => 100 * kart.motors[id]!.torqueNm + noise(8)],
    [MOTORS.CURRENT, INT16, (kart, noise) => 1000 * kart.motors[id]!.currentA + noise(60)],
  ]);
}

function motorSlow(id: number): Message[] {
  return of(COMPONENT.MOTORS, id, [
    [MOTORS.TEMPERATURE, INT16, (kart, noise) => 10 * kart.motors[id]!.temperatureC + noise(2)],
    [MOTORS.VOLTAGE, UINT16, (kart, noise) => 1000 * kart.motorVoltageV(id) + noise(25)],
    [MOTORS.DIRECTION, UINT8, (kart) => kart.motors[id]!.direction],
    [MOTORS.BRAKE, UINT8, (kart) => Number(kart.motors[id]!.isBraking)],
    [MOTORS.MODE, UINT8, (kart) => kart.motors[id]!.mode],
    [MOTORS.ENABLE, BOOLEAN, (kart) => Number(kart.motors[id]!.isEnabled)],
    [MOTORS.EMERGENCY, UINT8, (kart) => kart.motors[id]!.emergency],
  ]);
}

function batteryLoad(id: number): Message[] {
  return of(COMPONENT.BATTERIES, id, [
    [BATTERIES.VOLTAGE, UINT16, (kart, noise) => 1000 * kart.batteries[id]!.voltageV + noise(15)],
    [BATTERIES.CURRENT, INT16, (kart, noise) => 1000 * kart.batteries[id]!.currentA + noise(40)],
  ]);
}

function batteryTemperature(id: number): Message[] {
  return of(COMPONENT.BATTERIES, id, [
    [BATTERIES.TEMPERATURE, INT16, (kart, noise) => 10 * kart.batteries[id]!.temperatureC + noise(1)],
  ]);
}

function lightState(id: (typeof LIGHT)[keyof typeof LIGHT]): Message[] {
  return of(COMPONENT.LIGHTS, id, [
    [LIGHTS.MODE, UINT8, (kart) => kart.lights[id].mode],
    [LIGHTS.SIGNAL, UINT8, (kart) => kart.lights[id].signal],
  ]);
}

function lightSensors(id: (typeof LIGHT)[keyof typeof LIGHT]): Message[] {
  return of(COMPONENT.LIGHTS, id, [
    [LIGHTS.INTENSITY, UINT8, (kart) => kart.lights[id].intensityPercent],
    [LIGHTS.VOLTAGE, UINT16, (kart, noise) => 1000 * kart.lights[id].voltageV + noise(12)],
    [LIGHTS.CURRENT, INT16, (kart, noise) => 1000 * kart.lights[id].currentA + noise(8)],
    [LIGHTS.TEMPERATURE, INT16, (kart, noise) => 10 * kart.lights[id].temperatureC + noise(2)],
  ]);
}

function lightExtras(id: (typeof LIGHT)[keyof typeof LIGHT]): Message[] {
  return of(COMPONENT.LIGHTS, id, [
    [LIGHTS.MODE, UINT8, (kart) => kart.lights[id].mode],
    [LIGHTS.PATTERN, UINT8, (kart) => kart.lights[id].pattern],
    [LIGHTS.COLOR, UINT8, (kart) => kart.lights[id].color],
  ]);
}

function navigationSetting(commandId: number): Reading {
  return [commandId, UINT8, (kart) => kart.navigationSettings[commandId]!];
}

function pedal(position: number, noiseRaw: number): number {
  return PEDAL_RELEASED_RAW + (PEDAL_PRESSED_RAW - PEDAL_RELEASED_RAW) * position + noiseRaw;
}

/** How rough the ground feels: motors and wheels shake the kart the more the faster it goes. */
function vibration(kart: KartModel): number {
  return 0.03 + 0.06 * kart.speedMPerS;
}

const IMU: Reading[] = [
  [NAVIGATION.ACCEL_X, INT24, (kart, noise) => 1000 * (kart.forwardAccelMPerS2 + noise(vibration(kart)))],
  [NAVIGATION.ACCEL_Y, INT24, (kart, noise) => 1000 * (kart.leftAccelMPerS2 + noise(vibration(kart)))],
  [NAVIGATION.ACCEL_Z, INT24, (kart, noise) => 1000 * (GRAVITY_M_PER_S2 + noise(2 * vibration(kart)))],
  [NAVIGATION.GYRO_X, INT24, (kart, noise) => 1000 * (kart.rollRateRadPerS + noise(0.05 * vibration(kart)))],
  [NAVIGATION.GYRO_Y, INT24, (kart, noise) => 1000 * (kart.pitchRateRadPerS + noise(0.05 * vibration(kart)))],
  [NAVIGATION.GYRO_Z, INT24, (kart, noise) => 1000 * (kart.yawRateRadPerS + noise(0.05 * vibration(kart)))],
];

const GPS_POSITION: Reading[] = [
  [NAVIGATION.LATITUDE, INT24, (kart) => kart.gps.latitudeDeg * STEPS_PER_DEGREE],
  [NAVIGATION.LONGITUDE, INT24, (kart) => kart.gps.longitudeDeg * STEPS_PER_DEGREE],
  [NAVIGATION.ALTITUDE, INT24, (kart) => 10 * kart.gps.altitudeM],
  [NAVIGATION.SPEED, UINT24, (kart) => 100 * kart.gps.speedKmPerH],
  [NAVIGATION.COURSE, UINT24, (kart) => Math.floor(100 * kart.gps.courseDeg)],
];

const GPS_QUALITY: Reading[] = [
  [NAVIGATION.SATELLITES, UINT8, (kart) => kart.gps.satellites],
  [NAVIGATION.HDOP, UINT24, (kart) => 100 * kart.gps.hdop],
  [NAVIGATION.GPS_FIX_STATUS, UINT8, (kart) => kart.gps.fix],
];

const ENVIRONMENT: Reading[] = [
  [NAVIGATION.TEMPERATURE_AMBIENT, INT16, (kart, noise) => 10 * kart.ambientC + noise(1)],
  [NAVIGATION.HUMIDITY_RELATIVE, UINT8, (kart) => kart.humidityPercent],
];

const PEDALS: Message[] = [
  ...of(COMPONENT.CONTROLS, CONTROL.THROTTLE, [
    [CONTROLS.POSITION, UINT16, (kart, noise) => pedal(kart.racer.throttle, noise(3))],
  ]),
  ...of(COMPONENT.CONTROLS, CONTROL.BRAKE, [
    [CONTROLS.POSITION, UINT16, (kart, noise) => pedal(kart.racer.brake, noise(3))],
  ]),
  ...of(COMPONENT.CONTROLS, CONTROL.STEERING, [
    [
      CONTROLS.POSITION,
      UINT16,
      // To the right the reading rises.
      (kart, noise) =>
        Math.min(1023, Math.max(0, STEERING_CENTER_RAW - STEERING_RAW_M * kart.racer.steering + noise(4))),
    ],
  ]),
];

const SWITCHES: Message[] = [
  ...of(COMPONENT.CONTROLS, CONTROL.TURN_SIGNAL_SWITCH, [
    [CONTROLS.STATE, UINT8, (kart) => kart.racer.turnSignal],
  ]),
  ...of(COMPONENT.CONTROLS, CONTROL.HAZARD_SWITCH, [
    [CONTROLS.STATE, UINT8, (kart) => Number(kart.racer.isHazardOn)],
  ]),
  ...of(COMPONENT.CONTROLS, CONTROL.LIGHTS_SWITCH, [
    [CONTROLS.MODE, UINT8, (kart) => kart.racer.lightsSwitch],
  ]),
];

const CONTROL_UNIT: Message[] = [
  ...of(COMPONENT.CONTROLS, CONTROL.SYSTEM, [
    [CONTROLS.ENABLE, BOOLEAN, (kart) => Number(kart.isControlsEnabled)],
    [CONTROLS.MODE, UINT8, (kart) => kart.controlsMode],
    [CONTROLS.EMERGENCY, UINT8, (kart) => kart.controlsEmergency],
    [CONTROLS.VOLTAGE, UINT16, (_kart, noise) => 5020 + noise(12)],
    [CONTROLS.CURRENT, INT16, (_kart, noise) => 142 + noise(9)],
    [CONTROLS.TEMPERATURE, INT16, (kart, noise) => 10 * (kart.ambientC + 6) + noise(2)],
  ]),
  ...of(COMPONENT.SYSTEM_MONITOR, COMPUTER.ESP32_MAIN, [
    [SYSTEM.COMPONENT_UPTIME_S, UINT24, (kart) => Math.floor(ESP32_BOOTED_S + kart.timeS)],
    [SYSTEM.INTERNAL_TEMP_C, INT8, (kart) => kart.esp32.temperatureC],
    [SYSTEM.CPU_LOAD_PERCENT, UINT8, (kart) => kart.esp32.cpuPercent],
    [SYSTEM.MEMORY_FREE_BYTES, UINT24, (kart) => kart.esp32.memoryFreeKiB],
    [SYSTEM.TASK_STACK_HIGHWATER_BYTES, UINT24, (kart) => kart.esp32.stackFreeBytes],
  ]),
];

const RASPBERRY_PI: Message[] = [
  ...of(COMPONENT.SYSTEM_MONITOR, COMPUTER.RASPBERRY_PI, [
    [SYSTEM.COMPONENT_UPTIME_S, UINT24, (kart) => Math.floor(RASPBERRY_PI_BOOTED_S + kart.timeS)],
    [SYSTEM.INTERNAL_TEMP_C, INT8, (kart) => kart.raspberryPi.temperatureC],
    [SYSTEM.CPU_LOAD_PERCENT, UINT8, (kart) => kart.raspberryPi.cpuPercent],
    [SYSTEM.MEMORY_FREE_BYTES, UINT24, (kart) => kart.raspberryPi.memoryFreeKiB],
    [SYSTEM.DISK_USAGE_PERCENT, UINT8, (kart) => kart.raspberryPi.diskPercent],
    [SYSTEM.NETWORK_SENT_KBPS, UINT24, (kart) => kart.raspberryPi.sentKbps],
    [SYSTEM.NETWORK_RECV_KBPS, UINT24, (kart) => kart.raspberryPi.receivedKbps],
    [SYSTEM.WIFI_RSSI_DBM, INT8, (kart) => kart.raspberryPi.rssiDbm],
  ]),
  ...of(COMPONENT.SYSTEM_MONITOR, COMPUTER.UPLINK_MANAGER, [
    [SYSTEM.UPLINK_STATUS, UINT8, (kart) => kart.uplink.status],
    [SYSTEM.UPLINK_QUEUE_SIZE, UINT24, (kart) => kart.uplink.queueRecords],
    [SYSTEM.UPLINK_AVG_LATENCY_MS, UINT24, (kart) => kart.uplink.latencyMs],
    [SYSTEM.UPLINK_AVG_THROUGHPUT_KBPS, UINT24, (kart) => kart.raspberryPi.sentKbps],
  ]),
];

const REAR = [MOTOR.LEFT_REAR, MOTOR.RIGHT_REAR];
const FRONT = [MOTOR.LEFT_FRONT, MOTOR.RIGHT_FRONT];
/** The battery of motor n is battery n + 1, and the motor's node measures it. */
const REAR_PACKS = REAR.map((id) => id + 1);
const FRONT_PACKS = FRONT.map((id) => id + 1);

/** Who sends what how often: the whole of the kart's regular traffic. */
export const TASKS: readonly Task[] = [
  { nodeId: NODE.CONTROLS, periodMs: 50, messages: PEDALS },
  { nodeId: NODE.CONTROLS, periodMs: 500, messages: SWITCHES },
  { nodeId: NODE.CONTROLS, periodMs: 1000, messages: CONTROL_UNIT },

  { nodeId: NODE.REAR_DRIVE, periodMs: 50, messages: REAR.flatMap(motorFast) },
  { nodeId: NODE.REAR_DRIVE, periodMs: 200, messages: REAR.flatMap(motorLoad) },
  { nodeId: NODE.REAR_DRIVE, periodMs: 200, messages: REAR_PACKS.flatMap(batteryLoad) },
  { nodeId: NODE.REAR_DRIVE, periodMs: 1000, messages: REAR.flatMap(motorSlow) },
  { nodeId: NODE.REAR_DRIVE, periodMs: 1000, messages: REAR_PACKS.flatMap(batteryTemperature) },

  { nodeId: NODE.FRONT_DRIVE, periodMs: 50, messages: FRONT.flatMap(motorFast) },
  { nodeId: NODE.FRONT_DRIVE, periodMs: 200, messages: FRONT.flatMap(motorLoad) },
  { nodeId: NODE.FRONT_DRIVE, periodMs: 200, messages: FRONT_PACKS.flatMap(batteryLoad) },
  { nodeId: NODE.FRONT_DRIVE, periodMs: 1000, messages: FRONT.flatMap(motorSlow) },
  { nodeId: NODE.FRONT_DRIVE, periodMs: 1000, messages: FRONT_PACKS.flatMap(batteryTemperature) },

  { nodeId: NODE.LIGHTS, periodMs: 500, messages: [LIGHT.FRONT, LIGHT.REAR].flatMap(lightState) },
  {
    nodeId: NODE.LIGHTS,
    periodMs: 500,
    messages: of(COMPONENT.LIGHTS, LIGHT.REAR, [
      [LIGHTS.BRAKE, BOOLEAN, (kart) => Number(kart.lights[LIGHT.REAR].isBraking)],
    ]),
  },
  { nodeId: NODE.LIGHTS, periodMs: 1000, messages: [LIGHT.FRONT, LIGHT.REAR].flatMap(lightSensors) },
  {
    nodeId: NODE.LIGHTS,
    periodMs: 2000,
    messages: [LIGHT.INTERIOR, LIGHT.AUXILIARY, LIGHT.UNDERGLOW].flatMap(lightExtras),
  },
  { nodeId: NODE.LIGHTS, periodMs: 500, messages: batteryLoad(BATTERY_ACCESSORY) },
  { nodeId: NODE.LIGHTS, periodMs: 1000, messages: batteryTemperature(BATTERY_ACCESSORY) },

  { nodeId: NODE.NAVIGATION, periodMs: 20, messages: of(COMPONENT.NAVIGATION, SENSOR.IMU, IMU) },
  { nodeId: NODE.NAVIGATION, periodMs: 200, messages: of(COMPONENT.NAVIGATION, SENSOR.GPS, GPS_POSITION) },
  { nodeId: NODE.NAVIGATION, periodMs: 1000, messages: of(COMPONENT.NAVIGATION, SENSOR.GPS, GPS_QUALITY) },
  {
    nodeId: NODE.NAVIGATION,
    periodMs: 2000,
    messages: of(COMPONENT.NAVIGATION, SENSOR.ENVIRONMENT, ENVIRONMENT),
  },
  {
    nodeId: NODE.NAVIGATION,
    periodMs: 5000,
    messages: of(COMPONENT.NAVIGATION, SENSOR.IMU, [
      [NAVIGATION.IMU_TEMPERATURE, INT16, (kart, noise) => 10 * kart.imuTemperatureC + noise(1)],
      navigationSetting(NAVIGATION.ACCELEROMETER_RANGE),
      navigationSetting(NAVIGATION.GYROSCOPE_RANGE),
      navigationSetting(NAVIGATION.FILTER_BANDWIDTH),
    ]),
  },
  {
    nodeId: NODE.NAVIGATION,
    periodMs: 5000,
    messages: of(COMPONENT.NAVIGATION, SENSOR.GPS, [
      navigationSetting(NAVIGATION.GPS_UPDATE_RATE),
      navigationSetting(NAVIGATION.GNSS_CONSTELLATION),
      navigationSetting(NAVIGATION.NMEA_OUTPUT_CONFIG),
      navigationSetting(NAVIGATION.STATIC_NAVIGATION_MODE),
    ]),
  },

  { nodeId: NODE.RASPBERRY_PI, periodMs: 1000, messages: RASPBERRY_PI },
];
