import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { ok, problem, type Section, warning } from './check.ts';
import { isSound, reportJson, reportText } from './report.ts';

const SECTIONS: Section[] = [
  {
    title: 'Bus can0',
    checks: [
      ok('socket', 'can be opened'),
      problem('settings', 'bitrate is 250000 bit/s', '500000 bit/s', 'sudo ip link set can0 down', 'Look.'),
    ],
  },
  { title: 'Clock', checks: [warning('RTC', 'none', 'one', 'Fit one.')] },
];

test('a report has a line for each check, and below it one for each step that mends it', () => {
  assert.equal(
    reportText(SECTIONS, false),
    [
      'Bus can0',
      '  ✓ socket    can be opened',
      '  ✗ settings  bitrate is 250000 bit/s; expected: 500000 bit/s',
      '      - sudo ip link set can0 down',
      '      - Look.',
      '',
      'Clock',
      '  ! RTC       none; expected: one',
      '      - Fit one.',
      '',
      '1 problem, 1 warning.',
      '',
    ].join('\n'),
  );
});

test('colours change nothing else', () => {
  const coloured = reportText(SECTIONS, true);
  assert.notEqual(coloured, reportText(SECTIONS, false));
  assert.equal(stripVTControlCharacters(coloured), reportText(SECTIONS, false));
});

test('where nothing is wrong it says so', () => {
  const sound = [{ title: 'API', checks: [ok('address', 'free')] }];
  assert.match(reportText(sound, false), /\nAll is well\.\n$/);
  assert.equal(isSound(sound), true);
});

test('a warning alone is no failure, a problem is', () => {
  assert.equal(isSound(SECTIONS.slice(1)), true);
  assert.equal(isSound(SECTIONS), false);
});

test('programs get the same as JSON', () => {
  const report = JSON.parse(reportJson(SECTIONS, '1.2.3'));
  assert.equal(report.version, '1.2.3');
  assert.equal(report.ok, false);
  assert.deepEqual([report.problems, report.warnings], [1, 1]);
  assert.deepEqual(report.checks[1], {
    section: 'Bus can0',
    name: 'settings',
    outcome: 'problem',
    found: 'bitrate is 250000 bit/s',
    expected: '500000 bit/s',
    remedies: ['sudo ip link set can0 down', 'Look.'],
  });
});
