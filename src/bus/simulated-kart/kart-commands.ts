import { type KartModel, type Light, lightModeOfSwitch, type Motor } from './kart-model.ts';
import {
  ALL,
  COMPONENT,
  CONTROL,
  CONTROLS,
  LIGHT,
  LIGHT_MODE,
  LIGHTS,
  MOTOR,
  MOTORS,
  NAVIGATION,
  NODE,
  SENSOR,
  VALUE,
} from './kart-wire.ts';

/**
 * What the nodes do when a COMMAND comes, and which COMMANDs the control unit sends when the driver
 * moves a pedal or a switch.
 */

const ANY = 0xff_ffff;

/** Largest value each command takes, by component type; a command that isn't here is a reading or unknown. */
const ACCEPTED: Readonly<Record<number, Readonly<Record<number, number>>>> = {
  [COMPONENT.LIGHTS]: {
    [LIGHTS.MODE]: 8,
    [LIGHTS.SIGNAL]: 2,
    [LIGHTS.INTENSITY]: 100,
    [LIGHTS.PATTERN]: 6,
    [LIGHTS.COLOR]: 7,
    [LIGHTS.DURATION]: ANY,
    [LIGHTS.TOGGLE]: ANY,
    [LIGHTS.SEQUENCE]: 4,
    [LIGHTS.BRAKE]: 1,
    [LIGHTS.LOCATION]: ANY,
  },
  [COMPONENT.MOTORS]: {
    [MOTORS.THROTTLE]: 100,
    [MOTORS.DIRECTION]: 2,
    [MOTORS.BRAKE]: 1,
    [MOTORS.MODE]: 6,
    [MOTORS.ENABLE]: 1,
    [MOTORS.EMERGENCY]: 3,
    [MOTORS.CALIBRATE]: 2,
  },
  [COMPONENT.CONTROLS]: {
    [CONTROLS.ENABLE]: 1,
    [CONTROLS.DISABLE]: 1,
    [CONTROLS.RESET]: ANY,
    [CONTROLS.MODE]: 6,
    [CONTROLS.PARAMETER]: ANY,
    [CONTROLS.CALIBRATE]: 16,
    [CONTROLS.EMERGENCY]: 2,
  },
  [COMPONENT.NAVIGATION]: {
    [NAVIGATION.ACCELEROMETER_RANGE]: 3,
    [NAVIGATION.GYROSCOPE_RANGE]: 3,
    [NAVIGATION.FILTER_BANDWIDTH]: 6,
    [NAVIGATION.TRIGGER_CALIBRATION]: ANY,
    [NAVIGATION.GPS_UPDATE_RATE]: 10,
    [NAVIGATION.GNSS_CONSTELLATION]: 4,
    [NAVIGATION.NMEA_OUTPUT_CONFIG]: 2,
    [NAVIGATION.STATIC_NAVIGATION_MODE]: 1,
  },
};

/** The nodes that own each component, by component type and id. */
const OWNERS: Readonly<Record<number, Readonly<Record<number, readonly number[]>>>> = {
  [COMPONENT.LIGHTS]: allOwnedBy(NODE.LIGHTS, Object.values(LIGHT)),
  [COMPONENT.MOTORS]: {
    [MOTOR.LEFT_REAR]: [NODE.REAR_DRIVE],
    [MOTOR.RIGHT_REAR]: [NODE.REAR_DRIVE],
    [MOTOR.LEFT_FRONT]: [NODE.FRONT_DRIVE],
    [MOTOR.RIGHT_FRONT]: [NODE.FRONT_DRIVE],
    [ALL]: [NODE.REAR_DRIVE, NODE.FRONT_DRIVE],
  },
  [COMPONENT.CONTROLS]: allOwnedBy(NODE.CONTROLS, Object.values(CONTROL)),
  [COMPONENT.NAVIGATION]: allOwnedBy(NODE.NAVIGATION, Object.values(SENSOR)),
};

function allOwnedBy(nodeId: number, componentIds: readonly number[]): Record<number, readonly number[]> {
  return Object.fromEntries([...componentIds, ALL].map((id) => [id, [nodeId]]));
}

const NOBODY: readonly number[] = [];

/** What a COMMAND asks for. */
export interface Order {
  readonly componentType: number;
  readonly componentId: number;
  readonly commandId: number;
  readonly valueType: number;
  /** The bits of its value type, unsigned. */
  readonly value: number;
}

/** The nodes that act on an order; none where it is a reading, unknown, or out of its range. */
export function nodesActingOn({ componentType, componentId, commandId, value }: Order): readonly number[] {
  const valueMax = ACCEPTED[componentType]?.[commandId];
  if (valueMax === undefined || value > valueMax) return NOBODY;
  return OWNERS[componentType]?.[componentId] ?? NOBODY;
}

/** Applies an order that nodesActingOn found somebody for. What changes nothing physical is only echoed. */
export function applyOrder(kart: KartModel, { componentType, componentId, commandId, value }: Order): void {
  if (componentType === COMPONENT.LIGHTS) {
    for (const id of Object.values(LIGHT)) {
      if (componentId === id || componentId === ALL) applyToLight(kart.lights[id], commandId, value);
    }
  } else if (componentType === COMPONENT.MOTORS) {
    for (let id = 0; id < 4; id++) {
      if (componentId === id || componentId === ALL) applyToMotor(kart.motors[id]!, commandId, value);
    }
  } else if (componentType === COMPONENT.CONTROLS) {
    applyToControls(kart, commandId, value);
  } else {
    kart.navigationSettings[commandId] = value;
  }
}

function applyToLight(light: Light, commandId: number, value: number): void {
  if (commandId === LIGHTS.MODE) light.mode = value;
  else if (commandId === LIGHTS.SIGNAL) light.signal = value;
  else if (commandId === LIGHTS.INTENSITY) light.intensityPercent = value;
  else if (commandId === LIGHTS.PATTERN) light.pattern = value;
  else if (commandId === LIGHTS.COLOR) light.color = value;
  else if (commandId === LIGHTS.BRAKE) light.isBraking = value === 1;
  else if (commandId === LIGHTS.TOGGLE) {
    light.mode = light.mode === LIGHT_MODE.OFF ? LIGHT_MODE.ON : LIGHT_MODE.OFF;
  }
}

function applyToMotor(motor: Motor, commandId: number, value: number): void {
  if (commandId === MOTORS.DIRECTION) motor.direction = value;
  else if (commandId === MOTORS.BRAKE) motor.isBrakeHeld = value === 1;
  else if (commandId === MOTORS.MODE) motor.mode = value;
  else if (commandId === MOTORS.ENABLE) motor.isEnabled = value === 1;
  else if (commandId === MOTORS.EMERGENCY) motor.emergency = value;
}

function applyToControls(kart: KartModel, commandId: number, value: number): void {
  if (commandId === CONTROLS.MODE) kart.controlsMode = value;
  else if (commandId === CONTROLS.ENABLE) kart.isControlsEnabled = value === 1;
  else if (commandId === CONTROLS.DISABLE) kart.isControlsEnabled = value === 0;
  else if (commandId === CONTROLS.EMERGENCY) {
    kart.controlsEmergency = value;
    for (const motor of kart.motors) motor.emergency = value;
  }
}

/** An order the control unit gives whenever what it reads off the driver's controls changes. */
export interface ControlLink extends Omit<Order, 'value'> {
  readonly read: (kart: KartModel) => number;
}

function outerLightMode(kart: KartModel): number {
  return kart.racer.isHazardOn ? LIGHT_MODE.HAZARD : lightModeOfSwitch(kart.racer.lightsSwitch);
}

function link(
  componentType: number,
  componentId: number,
  commandId: number,
  valueType: number,
  read: (kart: KartModel) => number,
): ControlLink {
  return { componentType, componentId, commandId, valueType, read };
}

const { BOOLEAN, UINT8 } = VALUE;

export const CONTROL_LINKS: readonly ControlLink[] = [
  link(COMPONENT.MOTORS, ALL, MOTORS.MODE, UINT8, (kart) => kart.racer.driveMode),
  link(COMPONENT.MOTORS, ALL, MOTORS.DIRECTION, UINT8, (kart) => kart.racer.direction),
  link(COMPONENT.MOTORS, ALL, MOTORS.ENABLE, BOOLEAN, (kart) => Number(kart.racer.isReady)),
  link(COMPONENT.LIGHTS, LIGHT.REAR, LIGHTS.BRAKE, BOOLEAN, (kart) => Number(kart.racer.isBrakePressed)),
  link(COMPONENT.LIGHTS, LIGHT.FRONT, LIGHTS.MODE, UINT8, outerLightMode),
  link(COMPONENT.LIGHTS, LIGHT.REAR, LIGHTS.MODE, UINT8, outerLightMode),
  link(COMPONENT.LIGHTS, LIGHT.FRONT, LIGHTS.SIGNAL, UINT8, (kart) => kart.racer.turnSignal),
  link(COMPONENT.LIGHTS, LIGHT.REAR, LIGHTS.SIGNAL, UINT8, (kart) => kart.racer.turnSignal),
];
