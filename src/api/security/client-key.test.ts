import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientKey } from './client-key.ts';

test('a client is its IPv4 address, also where IPv6 wraps it, or the first half of its IPv6 address', () => {
  const cases: [address: string | undefined, key: string][] = [
    ['192.168.1.7', '192.168.1.7'],
    ['::ffff:192.168.1.7', '192.168.1.7'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:1:a:b:c:d', '2001:db8:0:1::/64'],
    ['2001:0db8:0000:0001::d', '2001:db8:0:1::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['1:2:3:4:5:6:7::', '1:2:3:4::/64'],
    [undefined, ''],
  ];
  for (const [address, key] of cases) assert.equal(clientKey(address), key, address);
});

test('addresses are of one client if, and only if, their first 64 bits are the same', () => {
  const groups = fc.array(fc.constantFrom('0', '1', 'ab', 'ffff'), { minLength: 8, maxLength: 8 });
  // As Node writes them: the longest run of zeros as two colons.
  const written = (address: readonly string[]) =>
    new URL(`http://[${address.join(':')}]`).hostname.slice(1, -1);
  fc.assert(
    fc.property(groups, groups, (a, b) => {
      const [first, second] = [written(a), written(b)];
      assert.ok(isIPv6(first) && isIPv6(second));
      fc.pre(!/^::ffff:/.test(first) && !/^::ffff:/.test(second));
      const isSame = a.slice(0, 4).join() === b.slice(0, 4).join();
      assert.equal(clientKey(first) === clientKey(second), isSame, `${first} ${second}`);
    }),
  );
});
