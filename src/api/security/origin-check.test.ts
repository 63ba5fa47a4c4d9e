import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OriginCheck, type OriginQuestion } from './origin-check.ts';

const check = new OriginCheck(['http://kart.local:3000', 'https://pit.example']);
const question: OriginQuestion = {
  method: 'POST',
  isUpgrade: false,
  origin: undefined,
  host: 'kart.local:5001',
  requestedMethod: undefined,
};

const OWN = ['http://kart.local:5001', 'https://kart.local:5001', undefined];
const ALLOWED = ['http://kart.local:3000', 'https://pit.example'];
const FOREIGN = [
  'http://evil.example',
  'null',
  '',
  'http://kart.local',
  'http://kart.local:3001',
  'http://kart.local:5001.evil.example',
  'http://pit.example',
  'https://pit.example:8443',
  'https://PIT.example',
  'file://kart.local:5001',
  'chrome-extension://kart.local:5001',
  'kart.local:5001',
];

test('what changes something, or becomes a WebSocket, only pages of our own and of allowed origins may ask for', () => {
  const asked = [
    { method: 'POST' },
    { method: 'DELETE' },
    { method: 'PUT' },
    { method: 'GET', isUpgrade: true },
    { method: 'OPTIONS', requestedMethod: 'GET' },
    { method: 'OPTIONS', requestedMethod: 'POST' },
  ];
  for (const request of asked) {
    for (const origin of [...OWN, ...ALLOWED]) {
      assert.ok(check.allows({ ...question, ...request, origin }), `${request.method} ${origin}`);
    }
    for (const origin of FOREIGN) {
      assert.equal(check.allows({ ...question, ...request, origin }), false, `${request.method} ${origin}`);
    }
  }
});

test('reading is not refused: without permission a page does not get to see the answer', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    for (const origin of [...OWN, ...ALLOWED, ...FOREIGN]) {
      assert.ok(check.allows({ ...question, method, origin }));
    }
  }
});

test('a default port is the same as none', () => {
  const same = { ...question, origin: 'http://kart.local', host: 'kart.local:80' };
  assert.ok(check.allows(same));
  assert.ok(check.allows({ ...same, origin: 'https://kart.local', host: 'kart.local:443' }));
  assert.ok(check.allows({ ...same, host: 'KART.local' }));
  assert.equal(check.allows({ ...same, host: undefined }), false);
});
