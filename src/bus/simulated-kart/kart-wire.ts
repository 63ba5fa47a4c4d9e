/**
 * The numbers the simulated firmware speaks with. It holds its own, as the kart's nodes do, instead of
 * asking the protocol definitions: what the collector decodes is then checked against an independent sender.
 */

/** CAN ids: a node sends everything under its own. */
export const NODE = {
  CONTROLS: 1,
  REAR_DRIVE: 2,
  FRONT_DRIVE: 3,
  LIGHTS: 4,
  NAVIGATION: 5,
  RASPBERRY_PI: 6,
} as const;

export const NODE_ID_MAX = 6;

export const MESSAGE = { COMMAND: 0, STATUS: 1, ACK: 2, ERROR: 3 } as const;

export const COMPONENT = {
  LIGHTS: 0,
  MOTORS: 1,
  BATTERIES: 2,
  CONTROLS: 3,
  NAVIGATION: 4,
  SYSTEM_MONITOR: 5,
} as const;

/** Component id that addresses every component of a type. */
export const ALL = 255;

export const VALUE = { BOOLEAN: 0, INT8: 1, UINT8: 2, INT16: 3, UINT16: 4, INT24: 5, UINT24: 6 } as const;

/** Smallest and largest value of each value type, by its number. */
export const VALUE_MIN = [0, -0x80, 0, -0x8000, 0, -0x80_0000, 0] as const;
export const VALUE_MAX = [1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7f_ffff, 0xff_ffff] as const;

/** Bits that count of a received value, by the number of its type; an unassigned type counts whole. */
export const VALUE_MASK = [1, 0xff, 0xff, 0xffff, 0xffff, 0xff_ffff, 0xff_ffff] as const;
export const VALUE_MASK_UNASSIGNED = 0xff_ffff;

export const LIGHT = { FRONT: 0, REAR: 1, INTERIOR: 4, AUXILIARY: 8, UNDERGLOW: 9 } as const;

export const LIGHTS = {
  MODE: 0,
  SIGNAL: 1,
  INTENSITY: 2,
  PATTERN: 3,
  COLOR: 4,
  DURATION: 5,
  TOGGLE: 6,
  SEQUENCE: 7,
  BRAKE: 8,
  LOCATION: 9,
  VOLTAGE: 10,
  CURRENT: 11,
  TEMPERATURE: 12,
} as const;

export const LIGHT_MODE = {
  OFF: 0,
  ON: 1,
  AUTO: 2,
  DIM: 3,
  BRIGHT: 4,
  FLASH: 5,
  PULSE: 6,
  FADE: 7,
  HAZARD: 8,
} as const;

export const SIGNAL = { NONE: 0, LEFT: 1, RIGHT: 2 } as const;

export const MOTOR = { LEFT_REAR: 0, RIGHT_REAR: 1, LEFT_FRONT: 2, RIGHT_FRONT: 3 } as const;

export const MOTORS = {
  THROTTLE: 0,
  RPM: 1,
  DIRECTION: 2,
  BRAKE: 3,
  MODE: 4,
  ENABLE: 5,
  EMERGENCY: 6,
  TORQUE: 7,
  CALIBRATE: 8,
  TEMPERATURE: 9,
  VOLTAGE: 10,
  CURRENT: 11,
} as const;

export const DIRECTION = { FORWARD: 0, REVERSE: 1, NEUTRAL: 2 } as const;

export const MOTOR_MODE = { LOW: 0, MEDIUM: 1, HIGH: 2, ECO: 3, SPORT: 4, CUSTOM: 5, OFF: 6 } as const;

export const EMERGENCY = { NORMAL: 0, STOP: 1, LIMP_HOME: 2, SHUTDOWN: 3 } as const;

export const MOTOR_STATUS = { OK: 0, OVERTEMP: 4, HALL_SENSOR: 5 } as const;

/** Battery 0 feeds the electronics and the lights; battery 1 + n feeds motor n. */
export const BATTERY_ACCESSORY = 0;

export const BATTERIES = { VOLTAGE: 0, CURRENT: 1, TEMPERATURE: 2 } as const;

export const CONTROL = {
  SYSTEM: 0,
  THROTTLE: 1,
  BRAKE: 2,
  STEERING: 3,
  TURN_SIGNAL_SWITCH: 4,
  HAZARD_SWITCH: 5,
  LIGHTS_SWITCH: 6,
} as const;

export const CONTROLS = {
  ENABLE: 0,
  DISABLE: 1,
  RESET: 2,
  MODE: 3,
  PARAMETER: 4,
  CALIBRATE: 6,
  EMERGENCY: 7,
  POSITION: 10,
  STATE: 11,
  VOLTAGE: 20,
  CURRENT: 21,
  TEMPERATURE: 22,
} as const;

export const LIGHTS_SWITCH = { OFF: 0, ON: 1, LOW: 2, HIGH: 3 } as const;

export const SENSOR = { IMU: 0, GPS: 1, ENVIRONMENT: 2 } as const;

export const NAVIGATION = {
  ACCEL_X: 0,
  ACCEL_Y: 1,
  ACCEL_Z: 2,
  GYRO_X: 3,
  GYRO_Y: 4,
  GYRO_Z: 5,
  IMU_TEMPERATURE: 6,
  LATITUDE: 10,
  LONGITUDE: 11,
  ALTITUDE: 12,
  SPEED: 13,
  COURSE: 14,
  SATELLITES: 15,
  HDOP: 16,
  GPS_FIX_STATUS: 17,
  TEMPERATURE_AMBIENT: 20,
  HUMIDITY_RELATIVE: 21,
  ACCELEROMETER_RANGE: 50,
  GYROSCOPE_RANGE: 51,
  FILTER_BANDWIDTH: 52,
  TRIGGER_CALIBRATION: 53,
  GPS_UPDATE_RATE: 60,
  GNSS_CONSTELLATION: 61,
  NMEA_OUTPUT_CONFIG: 62,
  STATIC_NAVIGATION_MODE: 63,
} as const;

export const GPS_FIX = { NO_FIX: 0, ACQUIRED: 1, DIFFERENTIAL: 2 } as const;

export const COMPUTER = { RASPBERRY_PI: 1, ESP32_MAIN: 2, UPLINK_MANAGER: 3, TIME_MASTER: 4 } as const;

export const SYSTEM = {
  UPLINK_STATUS: 0,
  UPLINK_QUEUE_SIZE: 1,
  UPLINK_AVG_LATENCY_MS: 2,
  UPLINK_AVG_THROUGHPUT_KBPS: 3,
  PING: 4,
  PONG: 5,
  SET_TIME: 7,
  COMPONENT_UPTIME_S: 10,
  INTERNAL_TEMP_C: 11,
  CPU_LOAD_PERCENT: 12,
  MEMORY_FREE_BYTES: 13,
  DISK_USAGE_PERCENT: 14,
  NETWORK_SENT_KBPS: 15,
  NETWORK_RECV_KBPS: 16,
  WIFI_RSSI_DBM: 17,
  TASK_STACK_HIGHWATER_BYTES: 18,
} as const;

export const UPLINK = { DISCONNECTED: 0, CONNECTING: 1, CONNECTED: 2 } as const;
