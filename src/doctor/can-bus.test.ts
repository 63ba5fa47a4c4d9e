import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ControllerChanges, canController, ipText, vcan } from '../../test/support/ip-output.ts';
import { type LinkWanted, parseLink } from '../bus/socketcan/can-link.ts';
import { checkLink } from './can-bus.ts';

/** As a bus should be. */
const GOOD: ControllerChanges = { txqlen: 1000, restartMs: 100 };

function checked(changes: ControllerChanges, wanted: Partial<LinkWanted> = {}) {
  const link = parseLink(ipText(canController({ ...GOOD, ...changes })), 'can0');
  return checkLink(link, { interfaceName: 'can0', fd: 'auto', ...wanted });
}

function wrong(changes: ControllerChanges, wanted?: Partial<LinkWanted>) {
  return checked(changes, wanted).filter(({ outcome }) => outcome !== 'ok');
}

describe('a CAN controller', () => {
  test('that is as it should be has nothing wrong', () => {
    const checks = checked({}, { bitrateBitPerS: 500_000 });
    assert.deepEqual(
      checks.map(({ name, outcome, found }) => [name, outcome, found]),
      [
        ['settings', 'ok', '500000 bit/s, sample point 0.875'],
        ['controller', 'ok', 'ERROR-ACTIVE, errors: 0 sending, 0 receiving'],
      ],
    );
    assert.equal(checked({})[0]?.found, '500000 bit/s (the URL names none), sample point 0.875');
  });

  // biome-ignore format: a table
  const cases: [what: string, changes: ControllerChanges, wanted: Partial<LinkWanted>, name: string, outcome: string, found: RegExp, remedy: RegExp][] = [
    ['another bitrate', { bitrate: 250_000 }, { bitrateBitPerS: 500_000 }, 'settings', 'problem',
      /^bitrate 250000 bit\/s$/, /^sudo ip link set can0 down && sudo ip link set can0 up type can bitrate 500000$/],
    ['another sample point', {}, { bitrateBitPerS: 500_000, samplePoint: 0.7 }, 'settings', 'problem',
      /^sample point 0.875$/, /bitrate 500000 sample-point 0.7$/],
    ['no bitrate', { bitrate: null, isUp: false }, {}, 'settings', 'problem', /no bitrate/, /^sudo ip link set can0 up type can bitrate 500000$/],
    ['a short queue that the URL wants longer', { txqlen: 10 }, { txQueueFrames: 500 }, 'settings', 'warning',
      /^txqueuelen 10$/, /^sudo ip link set can0 txqueuelen 500$/],
    ['a short queue', { txqlen: 10 }, {}, 'txqueuelen', 'warning', /^10: /, /^sudo ip link set can0 txqueuelen 1000$/],
    ['no restart', { restartMs: 0 }, {}, 'restart-ms', 'warning', /^0: after a bus-off/,
      /^sudo ip link set can0 down && sudo ip link set can0 up type can restart-ms 100$/],
    ['the bus off', { state: 'BUS-OFF', restartMs: 0, errors: { tx: 248, rx: 0 }, busOffs: 3 }, { restartMs: 0 }, 'controller', 'problem',
      /^BUS-OFF, errors: 248 sending, 0 receiving, off the bus 3 times$/, /^sudo ip link set can0 type can restart$/],
    ['the bus off again and again', { state: 'BUS-OFF' }, {}, 'controller', 'problem', /^BUS-OFF/, /restarts it after 100 ms; it goes off again/],
    ['errors', { state: 'ERROR-PASSIVE', errors: { tx: 128, rx: 0 } }, {}, 'controller', 'warning', /^ERROR-PASSIVE, errors: 128 sending/, /60 ohm/],
    ['some errors', { state: 'ERROR-WARNING' }, {}, 'controller', 'warning', /^ERROR-WARNING/, /60 ohm/],
    ['been off the bus', { busOffs: 1 }, {}, 'controller', 'warning', /off the bus 1 times/, /60 ohm/],
    ['no CAN FD', {}, { fd: 'on' }, 'settings', 'problem', /^CAN FD off \(MTU 16\)$/, /^$/],
  ];
  for (const [what, changes, wanted, name, outcome, found, remedy] of cases) {
    test(`that has ${what}`, () => {
      const [check, ...others] = wrong(changes, wanted);
      assert.deepEqual(others, []);
      assert.equal(check?.name, name);
      assert.equal(check.outcome, outcome);
      assert.match(check.found, found);
      assert.match(check.remedies[0] ?? '', remedy);
    });
  }

  test('that only listens needs neither a queue nor a restart', () => {
    assert.deepEqual(wrong({ txqlen: 10, restartMs: 0, modes: ['LISTEN-ONLY'] }), []);
  });

  test('that is down has no errors worth telling', () => {
    assert.deepEqual(wrong({ isUp: false, state: 'STOPPED' }), []);
  });

  test('that is virtual has nothing of it all', () => {
    const link = parseLink(ipText(vcan('vcan0', { txqlen: 10 })), 'vcan0');
    const checks = checkLink(link, { interfaceName: 'vcan0', fd: 'auto', bitrateBitPerS: 500_000 });
    assert.deepEqual(
      checks.map(({ name, outcome, found }) => [name, outcome, found]),
      [['settings', 'ok', 'vcan, MTU 72']],
    );
  });
});
