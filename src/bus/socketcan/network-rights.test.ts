import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkRights, rightsOf } from './network-rights.ts';

const NONE = '0000000000000000';
const ALL = '000001ffffffffff';
/** Bit 12. */
const NET_ADMIN = '0000000000001000';
const WITHOUT_NET_ADMIN = '000001ffffffefff';

function status(uid: number, effective: string, ambient: string, bounding = ALL): string {
  return [
    'Name:\tnode',
    `Uid:\t1000\t${uid}\t${uid}\t${uid}`,
    `CapInh:\t${ambient}`,
    `CapPrm:\t${effective}`,
    `CapEff:\t${effective}`,
    `CapBnd:\t${bounding}`,
    `CapAmb:\t${ambient}`,
    '',
  ].join('\n');
}

// biome-ignore format: a table
const cases: [what: string, text: string, isAdmin: boolean, isPassedOn: boolean][] = [
  ['root', status(0, ALL, NONE), true, true],
  ['root in a container that lacks the right', status(0, WITHOUT_NET_ADMIN, NONE, WITHOUT_NET_ADMIN), false, false],
  ['a user', status(1000, NONE, NONE), false, false],
  ['a systemd service with an ambient capability', status(1000, NET_ADMIN, NET_ADMIN), true, true],
  ['a program whose file has the capability', status(1000, NET_ADMIN, NONE), true, false],
  ['another capability', status(1000, '0000000000002000', '0000000000002000'), false, false],
  ['something else', 'nothing of the kind', false, false],
];
for (const [what, text, isAdmin, isPassedOn] of cases) {
  test(`the rights of ${what}`, () => {
    assert.deepEqual(rightsOf(text), { isAdmin, isPassedOn });
  });
}

test('a process that is not there has none', () => {
  assert.deepEqual(networkRights(2 ** 30), { isAdmin: false, isPassedOn: false });
});
