import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { HostCheck } from './host-check.ts';

const check = new HostCheck('kart.lan', 'Raspberry.home.arpa', ['pit.example']);

const ALLOWED = [
  undefined,
  '127.0.0.1',
  '127.0.0.1:5001',
  '192.168.1.7:80',
  '[::1]',
  '[::1]:5001',
  '[fe80::1]:5001',
  '[::ffff:10.0.0.1]',
  'localhost',
  'localhost:5001',
  'LOCALHOST.',
  'dashboard.localhost:3000',
  'kart.lan',
  'kart.lan:5001',
  'raspberry',
  'RASPBERRY:5001',
  'raspberry.local',
  'raspberry.home.arpa.',
  'raspberry.home.arpa.local',
  'pit.example:8443',
];

const REFUSED = [
  '',
  ':5001',
  'evil.example',
  'evil.example:5001',
  'localhost.evil.example',
  'evil-localhost',
  'raspberry.local.evil.example',
  'x.pit.example',
  '127.0.0.1.evil.example',
  '127.1',
  '2130706433',
  '0x7f000001',
  'pit.example@evil.example',
  'evil.example#pit.example',
  'evil.example/pit.example',
  'pit.example, evil.example',
  'pit.example:5001:80',
  'pit.example:http',
  '[pit.example]',
  '[127.0.0.1]',
  '[::.]',
  '[::1',
  '::1',
  ' pit.example',
  'pit.example\0',
  'a'.repeat(10_000),
];

test('the API is called by addresses, localhost, the name of the machine, that it listens on, and those it was given', () => {
  for (const host of ALLOWED) assert.ok(check.allows(host), host);
});

test('by any other name it is refused', () => {
  for (const host of REFUSED) assert.equal(check.allows(host), false, host);
});

test('whatever header is allowed, a browser that sends it has asked an address or a name of ours', () => {
  const names = ['localhost', 'kart.lan', 'raspberry', 'pit.example'];
  const piece = fc.constantFrom(
    ...names,
    '.',
    ':',
    '80',
    '[',
    ']',
    '::1',
    '@',
    '/',
    '#',
    '?',
    '\\',
    '%2e',
    ' ',
    'x',
  );
  const text = fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(text, (header) => {
      if (!check.allows(header)) return;
      const { hostname = '' } = URL.parse(`http://${header}/`) ?? {};
      const asked = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
      const isOurs = names.includes(asked) || asked.endsWith('.localhost') || isIP(asked) !== 0;
      assert.ok(isOurs, `${header} asks ${asked}`);
    }),
    { numRuns: 5000 },
  );
});
