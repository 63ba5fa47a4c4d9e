import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { STREAM_PATTERN_CHARS_MAX, STREAM_PATTERNS_MAX } from '../../shared/limits.ts';
import { ClientMessageError, readClientMessage } from './client-message.ts';

const SUBSCRIBE = { type: 'subscribe', id: 'a', signals: ['**'] };

describe('a message of a client is read:', () => {
  for (const message of [
    SUBSCRIBE,
    {
      ...SUBSCRIBE,
      max_hz: 0.1,
      since: Number.MAX_SAFE_INTEGER,
      snapshot: false,
      message_type: 'STATUS',
      bus: 'can0',
    },
    { ...SUBSCRIBE, signals: new Array(STREAM_PATTERNS_MAX).fill('x'.repeat(STREAM_PATTERN_CHARS_MAX)) },
    { type: 'unsubscribe', id: 'ü'.repeat(64) },
    { type: 'ping' },
    { type: 'ping', data: null },
    { type: 'ping', data: { any: [1, 'thing'] } },
  ]) {
    test(JSON.stringify(message).slice(0, 80), () => {
      assert.deepEqual(readClientMessage(JSON.stringify(message)), message);
    });
  }
});

describe('what is wrong with a message is said, and of which subscription:', () => {
  // biome-ignore format: a table
  const cases: [text: string, id: string | null, message: string][] = [
    ['', null, 'Expected a message as JSON, found "".'],
    ['{"type":', null, 'Expected a message as JSON, found "{\\"type\\":".'],
    ['[]', null, 'Expected a message as a JSON object, found [].'],
    ['null', null, 'Expected a message as a JSON object, found null.'],
    ['{}', null, 'Expected type to be one of subscribe, unsubscribe, ping, found nothing.'],
    ['{"type":"constructor","id":"a"}', 'a', 'Expected type to be one of subscribe, unsubscribe, ping, found "constructor".'],
    ['{"type":"subscribe","id":"a"}', 'a', 'Expected signals in subscribe, a list of 1 to 64, each text of 1 to 120 characters; found none.'],
    ['{"type":"subscribe","signals":["**"]}', null, 'Expected id in subscribe, text of 1 to 64 characters; found none.'],
    ['{"type":"subscribe","id":"a","signals":[]}', 'a', 'Expected signals to be a list of 1 to 64, each text of 1 to 120 characters, found [].'],
    ['{"type":"subscribe","id":"a","signals":"**"}', 'a', 'Expected signals to be a list of 1 to 64, each text of 1 to 120 characters, found "**".'],
    ['{"type":"subscribe","id":"a","signals":["**"],"max_hz":0}', 'a', 'Expected max_hz to be a number from 0.1 to 1000, found 0.'],
    ['{"type":"subscribe","id":"a","signals":["**"],"since":1.5}', 'a', `Expected since to be an integer from 0 to ${Number.MAX_SAFE_INTEGER}, found 1.5.`],
    ['{"type":"subscribe","id":"a","signals":["**"],"rate":1}', 'a', 'There is no "rate" in subscribe; there are: type, id, signals, max_hz, since, snapshot, message_type, bus.'],
    ['{"type":"unsubscribe","id":7}', null, 'Expected id to be text of 1 to 64 characters, found 7.'],
    ['{"type":"unsubscribe","id":"a","__proto__":{}}', 'a', 'There is no "__proto__" in unsubscribe; there are: type, id.'],
    [`{"type":"ping","data":"${'x'.repeat(511)}"}`, null, 'Expected data of at most 512 bytes as JSON.'],
  ];
  for (const [text, id, message] of cases) {
    test(text.slice(0, 80), () => {
      assert.throws(
        () => readClientMessage(text),
        (error) => {
          assert.ok(error instanceof ClientMessageError);
          assert.deepEqual(
            [error.code, error.message, error.subscriptionId],
            ['MESSAGE_INVALID', message, id],
          );
          return true;
        },
      );
    });
  }
});

test('whatever a client sends is either a message or refused, with a short answer', () => {
  const anyField = fc.constantFrom('type', 'id', 'signals', 'max_hz', 'since', 'data', 'bus', 'toString');
  const anyValue = fc.oneof(fc.constantFrom('subscribe', 'unsubscribe', 'ping', 'a', ['**']), fc.jsonValue());
  const anyText = fc.oneof(
    fc.string(),
    fc.json(),
    fc.dictionary(anyField, anyValue).map((message) => JSON.stringify(message)),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      try {
        assert.ok(['subscribe', 'unsubscribe', 'ping'].includes(readClientMessage(text).type));
      } catch (error) {
        assert.ok(error instanceof ClientMessageError, String(error));
        assert.ok(error.message.length < 300);
      }
    }),
    { numRuns: 500 },
  );
});
