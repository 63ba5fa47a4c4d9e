import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { BusError } from '../shared/errors.ts';
import { type BusUrl, defaultBusName, formatBusUrl, parseBusUrl } from './bus-url.ts';

const socketcan = { kind: 'socketcan', interfaceName: 'can0', fd: 'auto', configure: false } as const;
const candump = { kind: 'candump', path: 'drive.log', speed: 1, loop: false, time: 'now' } as const;
const sim = { kind: 'sim', model: 'kart', seed: 1, rate: 1 } as const;

const good: [string, BusUrl][] = [
  ['socketcan:can0', socketcan],
  ['socketcan:can0?bitrate=500000&fd=off', { ...socketcan, bitrateBitPerS: 500_000, fd: 'off' }],
  ['socketcan:can0?fd=on', { ...socketcan, fd: 'on' }],
  ['socketcan:can0?configure=off', socketcan],
  [
    'socketcan:can0?filter=123:7FF,12345678~DFFFFFFF,J',
    {
      ...socketcan,
      filters: {
        terms: [
          { idWord: 0x123, mask: 0x7ff, isInverted: false },
          { idWord: 0x9234_5678, mask: 0xdfff_ffff, isInverted: true },
        ],
        isJoined: true,
      },
    },
  ],
  ['socketcan:can0?configure=on', { ...socketcan, configure: true }],
  ['socketcan:can0?time_sync=off', { ...socketcan, timeSync: 'off' }],
  [
    'socketcan:can0?bitrate=250000&sample_point=0.8&dbitrate=8000000&dsample_point=0.75&restart_ms=0&txqueuelen=1000',
    {
      ...socketcan,
      bitrateBitPerS: 250_000,
      samplePoint: 0.8,
      dataBitrateBitPerS: 8_000_000,
      dataSamplePoint: 0.75,
      restartMs: 0,
      txQueueFrames: 1000,
    },
  ],
  ['socketcan:vcan0?bitrate=5000', { ...socketcan, interfaceName: 'vcan0', bitrateBitPerS: 5_000 }],
  ['socketcan:a23456789012345', { ...socketcan, interfaceName: 'a23456789012345' }],
  ['candump:drive.log', candump],
  ['candump:drive.log?speed=1&loop&time=now', { ...candump, loop: true }],
  ['candump:drive.log?loop=off', candump],
  ['candump:drive.log?loop=on', { ...candump, loop: true }],
  ['candump:drive.log?speed=max', { ...candump, speed: 'max', time: 'log' }],
  ['candump:drive.log?speed=max&time=now', { ...candump, speed: 'max' }],
  ['candump:drive.log?speed=0.25&time=log', { ...candump, speed: 0.25, time: 'log' }],
  ['candump:/var/a b/100%25?speed=2', { ...candump, path: '/var/a b/100%', speed: 2 }],
  ['candump:what%3F.log', { ...candump, path: 'what?.log' }],
  ['candump:a:b#c.log', { ...candump, path: 'a:b#c.log' }],
  ['candump:a&b.log', { ...candump, path: 'a&b.log' }],
  ['candump:a%26loop', { ...candump, path: 'a&loop' }],
  ['sim:kart', sim],
  ['sim:kart?seed=1&rate=1', sim],
  ['sim:kart?seed=4294967295&rate=0.5', { ...sim, seed: 4_294_967_295, rate: 0.5 }],
  ['sim:kart?seed=0&rate=1000', { ...sim, seed: 0, rate: 1_000 }],
];

test('reads every form of a bus URL', () => {
  for (const [url, expected] of good) assert.deepEqual(parseBusUrl(url), expected, url);
});

const bad: [string, RegExp][] = [
  ['', /expected a bus URL such as socketcan:can0, candump:drive.log, asc:drive.asc or sim:kart; found ""/],
  ['can0', /expected a bus URL/],
  ['toString:can0', /expected a bus URL/],
  ['SOCKETCAN:can0', /expected a bus URL/],
  [':can0', /expected a bus URL/],
  ['socketcan:', /name of a CAN interface/],
  ['socketcan:.', /name of a CAN interface/],
  ['socketcan:..', /name of a CAN interface/],
  ['socketcan:a/b', /name of a CAN interface/],
  ['socketcan:a b', /name of a CAN interface/],
  ['socketcan:a%20b', /name of a CAN interface/],
  ['socketcan:a%00', /name of a CAN interface/],
  ['socketcan:a234567890123456', /1 to 15 characters/],
  ['socketcan:can0?fd=maybe', /fd: expected on, off or auto; .*found "maybe"/],
  ['socketcan:can0?fd', /fd: expected on, off or auto, found no value/],
  ['socketcan:can0?bitrate=4999', /bitrate: expected an integer from 5000 to 1000000/],
  ['socketcan:can0?bitrate=1000001', /bitrate: expected/],
  ['socketcan:can0?bitrate=500000.5', /bitrate: expected/],
  ['socketcan:can0?bitrate=0x8000', /bitrate: expected/],
  ['socketcan:can0?bitrate=', /bitrate: expected .* found ""/],
  ['socketcan:can0?speed=1', /unknown option: expected bitrate=500000, sample_point=0.875, .*found "speed"/],
  ['socketcan:can0?filter', /filter: expected 123:7FF, .*found no value/],
  ['socketcan:can0?filter=123:7FF,12:3:4', /filter: expected 123:7FF, .*; found "12:3:4" in "socketcan:/],
  ['socketcan:can0?configure', /configure: expected on or off, found no value/],
  ['socketcan:can0?time_sync=on', /time_sync: expected off; .*found "on"/],
  ['socketcan:can0?time_sync', /time_sync: expected off, found no value/],
  ['socketcan:can0?configure=yes', /configure: expected on or off; .*found "yes"/],
  ['socketcan:can0?sample_point=0.8', /sample_point needs bitrate beside it: expected bitrate=500000, too/],
  ['socketcan:can0?dbitrate=2000000', /dbitrate needs bitrate/],
  ['socketcan:can0?bitrate=500000&dsample_point=0.8', /dsample_point needs dbitrate/],
  ['socketcan:can0?bitrate=500000&sample_point=1', /sample_point: expected a part of a bit from 0.001/],
  ['socketcan:can0?bitrate=500000&sample_point=87.5', /sample_point: expected/],
  ['socketcan:can0?bitrate=500000&dbitrate=8000001', /dbitrate: expected an integer from 5000 to 8000000/],
  ['socketcan:can0?restart_ms=60001', /restart_ms: expected an integer from 0 to 60000 \(ms\)/],
  ['socketcan:can0?txqueuelen=0', /txqueuelen: expected an integer from 1 to 100000 \(frames\)/],
  ['socketcan:can0?__proto__=1', /unknown option/],
  ['socketcan:can0?bitrate=500000&bitrate=500000', /each option once/],
  ['socketcan:can0&fd=on', /expected options behind a '\?', with '&' between them; found "&fd=on" in/],
  ['socketcan:can0,configure=on', /behind a '\?'.*found ",configure=on"/],
  ['candump:drive.log&speed=max&loop', /behind a '\?'.*found "&speed=max&loop"/],
  ['candump:drive.log&loop', /behind a '\?'/],
  ['socketcan:can0?', /unknown option: expected .*found ""/],
  ['candump:', /path of a log file/],
  ['candump:a%00', /path of a log file/],
  ['candump:100%', /%25/],
  ['candump:a?speed=0', /speed: expected a number above 0, or max/],
  ['candump:a?speed=-1', /speed: expected/],
  ['candump:a?speed=Infinity', /speed: expected/],
  ['candump:a?speed=1e999', /speed: expected/],
  ['candump:a?loop=maybe', /loop: expected no value, on or off/],
  ['candump:a?time=then', /time: expected log or now/],
  ['sim:boat', /simulated vehicle: kart/],
  ['sim:kart?seed=-1', /seed: expected an integer from 0 to 4294967295/],
  ['sim:kart?seed=4294967296', /seed: expected/],
  ['sim:kart?seed=1.5', /seed: expected/],
  ['sim:kart?rate=0', /rate: expected a number above 0, at most 1000/],
  ['sim:kart?rate=1000.1', /rate: expected/],
];

test('says what was expected and found where a URL is wrong', () => {
  for (const [url, message] of bad) {
    assert.throws(
      () => parseBusUrl(url),
      (error) => {
        assert.ok(error instanceof BusError);
        assert.equal(error.code, 'BUS_URL_INVALID');
        assert.match(error.message, message, url);
        return true;
      },
    );
  }
});

test('a message stays short whatever was found', () => {
  assert.throws(
    () => parseBusUrl(`socketcan:${'x'.repeat(1_000_000)}`),
    (error) => error instanceof BusError && error.message.length < 500,
  );
});

test('any text gives a bus or a BusError', () => {
  const pieces = fc.constantFrom(
    'socketcan:',
    'candump:',
    'sim:kart',
    'can0',
    '?',
    '&',
    '=',
    'speed',
    '%',
    '1',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.oneof(pieces, fc.string())).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (url) => {
      try {
        parseBusUrl(url);
      } catch (error) {
        assert.ok(error instanceof BusError, `${error}`);
      }
    }),
  );
});

const plain = { noNullPrototype: true };
const samplePoint = fc.integer({ min: 1, max: 999 }).map((thousandths) => thousandths / 1000);
const link = fc
  .record(
    {
      bitrateBitPerS: fc.integer({ min: 5_000, max: 1_000_000 }),
      samplePoint,
      dataBitrateBitPerS: fc.integer({ min: 5_000, max: 8_000_000 }),
      dataSamplePoint: samplePoint,
      restartMs: fc.integer({ min: 0, max: 60_000 }),
      txQueueFrames: fc.integer({ min: 1, max: 100_000 }),
    },
    { ...plain, requiredKeys: [] },
  )
  .filter(
    (settings) =>
      (settings.samplePoint === undefined || settings.bitrateBitPerS !== undefined) &&
      (settings.dataBitrateBitPerS === undefined || settings.bitrateBitPerS !== undefined) &&
      (settings.dataSamplePoint === undefined || settings.dataBitrateBitPerS !== undefined),
  );
const anyBus: fc.Arbitrary<BusUrl> = fc.oneof(
  fc
    .tuple(
      fc.record(
        {
          kind: fc.constant('socketcan' as const),
          interfaceName: fc.stringMatching(/^[a-z0-9?%&=#@-]{1,15}$/),
          fd: fc.constantFrom('on' as const, 'off' as const, 'auto' as const),
          configure: fc.boolean(),
        },
        plain,
      ),
      link,
      fc.constantFrom({}, { timeSync: 'off' as const }),
    )
    .map(([bus, settings, timeSync]) => ({ ...bus, ...settings, ...timeSync })),
  fc.record(
    {
      kind: fc.constantFrom('candump' as const, 'asc' as const),
      path: fc.string({ unit: 'binary', minLength: 1 }).filter((path) => !path.includes('\0')),
      speed: fc.oneof(
        fc.constant('max' as const),
        fc.double({ min: 0, minExcluded: true, max: 1e9, noNaN: true }),
      ),
      loop: fc.boolean(),
      time: fc.constantFrom('log' as const, 'now' as const),
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant('sim' as const),
      model: fc.constant('kart' as const),
      seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      rate: fc.double({ min: 0, minExcluded: true, max: 1_000, noNaN: true }),
    },
    plain,
  ),
);

test('parseBusUrl(formatBusUrl(bus)) is bus, and its name is a valid one', () => {
  fc.assert(
    fc.property(anyBus, (bus) => {
      assert.deepEqual(parseBusUrl(formatBusUrl(bus)), bus);
      assert.match(defaultBusName(bus), /^[A-Za-z0-9._-]{1,32}$/);
    }),
  );
});

test('a bus without a name is called after what it reads', () => {
  const names: [string, string][] = [
    ['socketcan:vcan0', 'vcan0'],
    ['candump:logs/drive.log', 'drive'],
    ['candump:/', 'candump'],
    ['candump:logs/drive.log.zst', 'drive'],
    ['candump:/var/log/can/', 'can'],
    ['asc:drive.asc.gz', 'drive'],
    ['candump:1st drive.log', '1st-drive'],
    ['sim:kart?seed=7', 'sim'],
  ];
  for (const [url, name] of names) assert.equal(defaultBusName(parseBusUrl(url)), name);
});
