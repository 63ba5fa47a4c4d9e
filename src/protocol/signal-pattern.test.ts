import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seriesRecord } from '../../test/support/samples.ts';
import { QueryError } from '../shared/errors.ts';
import { parseSignalPattern } from './signal-pattern.ts';

/** MOTORS 1, MOTOR_LEFT_REAR 0, RPM 1. */
const rpm = seriesRecord(0);

const cases: [pattern: string, isOf: boolean][] = [
  ['MOTORS/MOTOR_LEFT_REAR/RPM', true],
  ['motors/motor_left_rear/rpm', true],
  ['1/0/1', true],
  ['1/0/2', false],
  ['MOTORS/*/RPM', true],
  ['MOTORS/*_REAR/RPM', true],
  ['MOTORS/MOTOR_*_REAR/RPM', true],
  ['MOTORS/MOTOR_LEFT_REAR*/*RPM', true],
  ['MOTORS/*LEFT*RIGHT*/RPM', false],
  ['MOTORS/MOTOR_LEFT_REAR_*EAR/RPM', false],
  ['MOTORS/MOTOR_LEFT_REAR/RP*PM', false],
  ['MOTORS/MOTOR_RIGHT*/RPM', false],
  ['*/*/*', true],
  ['**', true],
  ['MOTORS/**', true],
  ['LIGHTS/**', false],
  ['**/RPM', true],
  ['**/THROTTLE', false],
  ['MOTORS/**/RPM', true],
  ['MOTORS/MOTOR_LEFT_REAR/**', true],
  ['MOTORS/**E**R/RPM', true],
  ['MOTORS/M.*/RPM', false],
];
for (const [pattern, isOf] of cases) {
  test(`${pattern} ${isOf ? 'has' : "hasn't"} MOTORS/MOTOR_LEFT_REAR/RPM`, () => {
    assert.equal(parseSignalPattern(pattern)(rpm), isOf);
  });
}

for (const wrong of ['', 'MOTORS', 'MOTORS/RPM', 'MOTORS//RPM', '/', 'MOTORS/*/RPM/4', '**/MOTORS/*/RPM']) {
  test(`"${wrong}" is no pattern`, () => {
    assert.throws(() => parseSignalPattern(wrong), QueryError);
  });
}

test('stars match what a regular expression of the same meaning matches', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 8 });
  const name = fc.string({ unit: fc.constantFrom('a', 'b', 'A'), maxLength: 8 });
  fc.assert(
    fc.property(text, name, (part, componentId) => {
      fc.pre(part !== '**');
      const series = { ...rpm, definition: { ...rpm.definition, componentId } };
      const meant = new RegExp(`^${part.replaceAll('*', '.*')}$`, 'i').test(componentId);
      assert.equal(parseSignalPattern(`*/${part}/*`)(series), meant);
    }),
    { numRuns: 1000 },
  );
});

test('a pattern of nothing but stars and a name that it nearly has is soon decided', () => {
  const series = { ...rpm, definition: { ...rpm.definition, componentId: 'A'.repeat(200) } };
  assert.equal(parseSignalPattern(`*/${'*A'.repeat(60)}*B/*`)(series), false);
});
