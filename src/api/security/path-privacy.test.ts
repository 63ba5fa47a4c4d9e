import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withoutFolders } from './path-privacy.ts';

test('of a path the name of the file is left, wherever it stands', () => {
  const cases: [text: string, shown: string][] = [
    ['/home/pi/collector.db', 'collector.db'],
    ['candump:/home/pi/drive.log?speed=max', 'candump:drive.log?speed=max'],
    ['candump:/home/pi/my logs/drive.log', 'candump:drive.log'],
    ['candump:~/logs/drive.log', 'candump:drive.log'],
    [
      "ENOENT: no such file or directory, open '/home/pi/a.log'",
      "ENOENT: no such file or directory, open 'a.log'",
    ],
    ['found /etc/a/b and /var/lib/c.', 'found b and c.'],
    ['(/a/b/c)', '(c)'],
    ['/', '/'],
    ['', ''],
  ];
  for (const [text, shown] of cases) assert.equal(withoutFolders(text), shown);
});

test('what is no path stays as it is', () => {
  for (const text of [
    'socketcan:can0?bitrate=500000',
    'CAN_BUS/can0/STATE',
    '4500 frames/s',
    'http://127.0.0.1:5001/api/status',
    'bus can0: no such interface. Do: sudo ip link set can0 up type can bitrate 500000',
    'candump:logs/drive.log',
  ]) {
    assert.equal(withoutFolders(text), text);
  }
});

test('no folder of an absolute path is left in a text', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9._-]{5,12}$/);
  const path = fc.array(name, { minLength: 2, maxLength: 5 });
  const words = fc
    .array(fc.stringMatching(/^[A-Z]{0,4}[ :'"(]$/), { maxLength: 4 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(words, path, (before, parts) => {
      const shown = withoutFolders(`${before}/${parts.join('/')}`);
      assert.equal(shown, `${before}${parts.at(-1)}`);
    }),
  );
});
