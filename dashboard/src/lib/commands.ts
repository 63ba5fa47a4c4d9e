import type { ComponentTypeReply, StatusReply } from '../../../src/client/index.ts';

/** What can be commanded, from the protocol, and how to ask for it. */

export type ValueField =
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'boolean' }
  | {
      readonly kind: 'number';
      readonly min: number;
      readonly max: number;
      readonly step: number;
      readonly unit: string;
    };

type Bus = Pick<StatusReply['buses'][number], 'name' | 'kind'>;
type Command = ComponentTypeReply['commands'][number];

/** These light lamps or set sensors; everything else may make the vehicle move, or stop. */
const HARMLESS_TYPES = new Set(['LIGHTS', 'NAVIGATION', 'SYSTEM_MONITOR']);

export function moves(componentType: string): boolean {
  return !HARMLESS_TYPES.has(componentType);
}

/** Ranges of the value types as they are on the wire. */
const RAW_RANGES: Readonly<Record<string, readonly [number, number]>> = {
  INT8: [-128, 127],
  UINT8: [0, 255],
  INT16: [-32_768, 32_767],
  UINT16: [0, 65_535],
  INT24: [-8_388_608, 8_388_607],
  UINT24: [0, 16_777_215],
};

/** Null where the protocol doesn't say what the command is sent with. */
export function fieldOf(command: Command, component: string): ValueField | null {
  const names = command.values_by_component[component] ?? command.values;
  if (names !== null && names !== undefined) return { kind: 'names', names: Object.values(names) };
  if (command.value_type === 'BOOLEAN') return { kind: 'boolean' };
  const range = RAW_RANGES[command.value_type ?? ''];
  if (range === undefined) return null;
  const { scale, unit } = command;
  const [min, max] = unit === '%' ? [0, 100] : range.map((raw) => Number((raw * scale).toPrecision(9)));
  return { kind: 'number', min: min!, max: max!, step: scale, unit: unit ?? '' };
}

/** A log that is replayed takes no commands. */
const LOG_KINDS = new Set(['candump', 'asc']);

/** Buses that a command can go to. */
export function commandBuses(status: { readonly buses: readonly Bus[] } | null): string[] {
  return (status?.buses ?? []).filter(({ kind }) => !LOG_KINDS.has(kind)).map(({ name }) => name);
}

/** The vehicle's emergency stop, where its protocol has one: for all motors, or for the controls. */
export function emergencyStop(
  types: Readonly<Record<string, ComponentTypeReply>>,
): { componentType: string; componentId: string; commandId: string; value: string } | null {
  for (const [componentType, componentId] of [
    ['MOTORS', 'ALL'],
    ['CONTROLS', 'SYSTEM'],
  ] as const) {
    const command = types[componentType]?.commands.find(({ name }) => name === 'EMERGENCY');
    if (command !== undefined && Object.values(command.values ?? {}).includes('STOP')) {
      return { componentType, componentId, commandId: 'EMERGENCY', value: 'STOP' };
    }
  }
  return null;
}
