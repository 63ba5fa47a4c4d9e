import { Type } from 'typebox';

/** Parameters that several routes have. */

export const COMPONENT_TYPE = {
  description: 'the type of a component, by its name in any letter case or its number',
  examples: ['MOTORS', 'motors'],
};

export const COMPONENT_ID = {
  description: 'a component of this type, by name or number',
  examples: ['MOTOR_LEFT_REAR'],
};

export const COMMAND_ID = {
  description: 'a quantity of components of this type, by name or number',
  examples: ['RPM'],
};

export const MessageTypeFilter = Type.Optional(
  Type.String({ description: 'COMMAND, STATUS, ACK or ERROR, or its number', examples: ['STATUS'] }),
);

export const BusFilter = Type.Optional(
  Type.String({ description: 'a bus by its name in the configuration', examples: ['can0'] }),
);

export const FromInclusive = Type.Optional(
  Type.String({
    description: 'epoch seconds or ISO 8601, inclusive',
    examples: ['2026-01-01T00:00:00Z', '1767225600.5'],
  }),
);

export const ToInclusive = Type.Optional(
  Type.String({
    description: 'epoch seconds or ISO 8601, inclusive',
    examples: ['2026-01-01T00:01:00Z', '1767225660.25'],
  }),
);
