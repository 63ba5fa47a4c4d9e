import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { canController, ipText, vcan } from '../../../test/support/ip-output.ts';
import { BusError } from '../../shared/errors.ts';
import {
  commandText,
  differencesText,
  type LinkWanted,
  linkCommands,
  linkDifferences,
  parseLink,
} from './can-link.ts';

const can0 = (changes: Parameters<typeof canController>[0] = {}) =>
  parseLink(ipText(canController(changes)), 'can0');
const wanted = (settings: Partial<LinkWanted> = {}): LinkWanted => ({
  interfaceName: 'can0',
  fd: 'auto',
  ...settings,
});

describe('what ip prints', () => {
  test('of an MCP2515 that is up', () => {
    assert.deepEqual(can0(), {
      name: 'can0',
      kind: 'can',
      isUp: true,
      mtu: 16,
      txQueueFrames: 10,
      controllerState: 'ERROR-ACTIVE',
      bitTiming: { bitrateBitPerS: 500_000, samplePoint: 0.875 },
      dataBitTiming: null,
      restartMs: 0,
      modes: [],
      errorCounts: { tx: 0, rx: 0 },
      busErrors: 0,
      busOffs: 0,
      restarts: 0,
    });
  });

  test('of a controller that was never set', () => {
    const link = can0({ isUp: false, state: 'STOPPED', bitrate: null });
    assert.equal(link.isUp, false);
    assert.equal(link.bitTiming, null);
    assert.equal(link.controllerState, 'STOPPED');
  });

  test('of a controller with CAN FD', () => {
    const link = can0({ mtu: 72, modes: ['FD', 'TDC-AUTO'], dataBitrate: 2_000_000 });
    assert.deepEqual(link.dataBitTiming, { bitrateBitPerS: 2_000_000, samplePoint: 0.75 });
    assert.deepEqual(link.modes, ['FD', 'TDC-AUTO']);
  });

  test('of a virtual bus', () => {
    const link = parseLink(ipText(vcan('vcan0')), 'vcan0');
    assert.equal(link.kind, 'vcan');
    assert.equal(link.mtu, 72);
    assert.equal(link.bitTiming, null);
    assert.equal(link.restartMs, null);
    assert.equal(link.errorCounts, null);
  });

  test('of a driver whose bitrates are fixed', () => {
    const [link] = canController();
    const { bittiming: _, ...data } = link!.linkinfo.info_data as Record<string, unknown>;
    const fixed = { ...data, bittiming_bitrate: 250_000, bitrate_const: [125_000, 250_000, 500_000] };
    const text = ipText([{ ...link, linkinfo: { info_kind: 'can', info_data: fixed } }]);
    assert.deepEqual(parseLink(text, 'can0').bitTiming, { bitrateBitPerS: 250_000, samplePoint: null });
  });

  test('in older versions: the sample point as a number, the state outside of the JSON', () => {
    const text = ipText(canController({ modes: ['LOOPBACK'] })).replace('"0.875"', '0.875');
    const older = [
      text.replace(',"state":"ERROR-ACTIVE",', 'state ERROR-ACTIVE ,'),
      text.replace('"ctrlmode":["LOOPBACK"],"state":"ERROR-ACTIVE",', 'state ERROR-ACTIVE '),
    ];
    for (const each of older) {
      assert.throws(() => JSON.parse(each), 'as that version prints it');
      const link = parseLink(each, 'can0');
      assert.equal(link.controllerState, 'ERROR-ACTIVE');
      assert.deepEqual(link.errorCounts, { tx: 0, rx: 0 });
      assert.deepEqual(link.bitTiming, { bitrateBitPerS: 500_000, samplePoint: 0.875 });
    }
  });

  // biome-ignore format: a table
  const unknown: [text: string, message: RegExp][] = [
    ['', /expected JSON; found ""\. It is to be that of iproute2/],
    ['BusyBox v1.35', /expected JSON; found "BusyBox/],
    ['null', /expected a list with the interface can0/],
    ['[{}]', /expected a list with the interface can0/],
    ['[{"ifname":"can1","flags":[],"mtu":16}]', /expected a list with the interface can0/],
    ['[{"ifname":"can0"}]', /expected flags as a list of words/],
    ['[{"ifname":"can0","flags":"UP","mtu":16}]', /expected flags as a list of words/],
    ['[{"ifname":"can0","flags":[],"mtu":"16"}]', /expected mtu as a number/],
  ];
  for (const [text, message] of unknown) {
    test(`is an error where it is ${text || 'nothing'}`, () => {
      assert.throws(
        () => parseLink(text, 'can0'),
        (error) => error instanceof BusError && error.code === 'LINK_UNKNOWN' && message.test(error.message),
      );
    });
  }

  test('gives a link or a BusError, whatever it is', () => {
    const damaged = fc.tuple(fc.nat(1200), fc.nat(20), fc.string()).map(([at, length, text]) => {
      const whole = ipText(canController({ modes: ['FD'], dataBitrate: 2_000_000 }));
      return whole.slice(0, at) + text + whole.slice(at + length);
    });
    const shaped = fc
      .record(
        {
          ifname: fc.constant('can0'),
          flags: fc.oneof(fc.constant(['UP']), fc.jsonValue()),
          mtu: fc.oneof(fc.constant(16), fc.jsonValue()),
          txqlen: fc.jsonValue(),
          linkinfo: fc.oneof(
            fc.jsonValue(),
            fc.record({ info_kind: fc.jsonValue(), info_data: fc.jsonValue() }),
          ),
        },
        { requiredKeys: ['ifname'] },
      )
      .map((link) => JSON.stringify([link]));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), damaged, shaped), (text) => {
        try {
          const link = parseLink(text, 'can0');
          assert.equal(typeof link.isUp, 'boolean');
          assert.ok(link.bitTiming === null || link.bitTiming.bitrateBitPerS > 0);
          linkCommands(link, wanted({ bitrateBitPerS: 500_000 }));
        } catch (error) {
          assert.ok(error instanceof BusError, `${error}`);
          assert.ok(error.message.length < 400);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the commands that make an interface as it is to be', () => {
  const vcan0 = (changes: Parameters<typeof vcan>[1] = {}) =>
    parseLink(ipText(vcan('vcan0', changes)), 'vcan0');
  const vcanWanted = (settings: Partial<LinkWanted> = {}) => wanted({ interfaceName: 'vcan0', ...settings });
  const down = { isUp: false, state: 'STOPPED' };

  // biome-ignore format: a table
  const cases: [what: string, link: ReturnType<typeof can0>, wanted: LinkWanted, differences: string, commands: string[]][] = [
    ['nothing is asked of one that is up', can0(), wanted(), '', []],
    ['all is as wanted', can0(), wanted({ bitrateBitPerS: 500_000, samplePoint: 0.875, restartMs: 0, txQueueFrames: 10 }), '', []],
    ['down without a bitrate', can0({ ...down, bitrate: null }), wanted(), '', ['up type can bitrate 500000']],
    ['down without a bitrate, which is asked for', can0({ ...down, bitrate: null }), wanted({ bitrateBitPerS: 250_000 }),
      'bitrate is none, expected 250000 bit/s', ['up type can bitrate 250000']],
    ['down with a bitrate that nobody asks to change', can0({ ...down, bitrate: 125_000 }), wanted(), '', ['up']],
    ['down with the right bitrate', can0(down), wanted({ bitrateBitPerS: 500_000 }), '', ['up type can bitrate 500000']],
    ['another bitrate', can0({ bitrate: 250_000 }), wanted({ bitrateBitPerS: 500_000 }),
      'bitrate is 250000 bit/s, expected 500000 bit/s', ['down', 'up type can bitrate 500000']],
    ['a bitrate as near as the clock allows', can0({ bitrate: 33_334 }), wanted({ bitrateBitPerS: 33_333 }), '', []],
    ['another sample point', can0(), wanted({ bitrateBitPerS: 500_000, samplePoint: 0.75 }),
      'sample point is 0.875, expected 0.75', ['down', 'up type can bitrate 500000 sample-point 0.75']],
    ['a sample point nearby', can0(), wanted({ bitrateBitPerS: 500_000, samplePoint: 0.85 }), '', []],
    ['another restart-ms', can0(), wanted({ restartMs: 100 }), 'restart-ms is 0, expected 100', ['down', 'up type can restart-ms 100']],
    ['a longer queue alone', can0(), wanted({ txQueueFrames: 1000 }), 'txqueuelen is 10, expected 1000', ['txqueuelen 1000']],
    ['a longer queue and another bitrate', can0({ bitrate: 250_000 }), wanted({ bitrateBitPerS: 500_000, txQueueFrames: 1000 }),
      'bitrate is 250000 bit/s, expected 500000 bit/s; txqueuelen is 10, expected 1000',
      ['down', 'up txqueuelen 1000 type can bitrate 500000']],
    ['CAN FD', can0(), wanted({ bitrateBitPerS: 500_000, dataBitrateBitPerS: 2_000_000, dataSamplePoint: 0.75 }),
      'data bitrate is none, expected 2000000 bit/s; data sample point is none, expected 0.75; CAN FD is off (MTU 16), expected on (MTU 72)',
      ['down', 'up type can bitrate 500000 dbitrate 2000000 dsample-point 0.75 fd on']],
    ['CAN FD that is there', can0({ mtu: 72, modes: ['FD'], dataBitrate: 2_000_000 }), wanted({ fd: 'on', bitrateBitPerS: 500_000, dataBitrateBitPerS: 2_000_000 }), '', []],
    ['CAN FD without a data bitrate', can0(), wanted({ fd: 'on' }),
      'CAN FD is off (MTU 16), expected on (MTU 72): say its dbitrate in the URL of the bus', []],
    ['a virtual bus that is up', vcan0(), vcanWanted({ bitrateBitPerS: 500_000, restartMs: 100 }), '', []],
    ['a virtual bus that is down', vcan0({ isUp: false }), vcanWanted({ bitrateBitPerS: 500_000 }), '', ['up']],
    ['a virtual bus with a short queue', vcan0({ isUp: false, txqlen: 1 }), vcanWanted({ txQueueFrames: 1000 }),
      'txqueuelen is 1, expected 1000', ['up txqueuelen 1000']],
    ['a virtual bus without CAN FD', vcan0({ mtu: 16 }), vcanWanted({ fd: 'on' }),
      'CAN FD is off (MTU 16), expected on (MTU 72)', ['down', 'up mtu 72']],
  ];
  for (const [what, link, target, differences, commands] of cases) {
    test(what, () => {
      assert.equal(differencesText(linkDifferences(link, target)), differences);
      assert.deepEqual(
        linkCommands(link, target).map((words) => words.join(' ')),
        commands,
      );
    });
  }

  test('are written as one types them', () => {
    assert.equal(
      commandText('can0', [['down'], ['up', 'type', 'can', 'bitrate', '500000']]),
      'sudo ip link set can0 down && sudo ip link set can0 up type can bitrate 500000',
    );
    assert.equal(commandText("a;'b", [['up']]), "sudo ip link set 'a;'\\''b' up");
  });
});
