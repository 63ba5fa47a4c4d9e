import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { parseSetting } from './forms.ts';
import { configurationPage, formatSetting, SETTINGS } from './reference.ts';

const base = { directory: '/work', home: '/home/driver' };

test('every default is a value of its setting, written as it would be shown', () => {
  for (const setting of SETTINGS.filter(({ form }) => form !== 'buses')) {
    if (setting.default === null) {
      assert.ok(setting.defaultNote, setting.path);
      continue;
    }
    const parsed = parseSetting(setting, setting.default, base);
    assert.ok('value' in parsed, setting.path);
    assert.equal(formatSetting(setting, parsed.value), setting.default);
  }
});

test('flags, variables and paths are unique', () => {
  const inputs = SETTINGS.flatMap((setting) => setting.inputs);
  for (const names of [
    inputs.flatMap(({ flag }) => flag ?? []),
    inputs.flatMap(({ env }) => env ?? []),
    SETTINGS.map(({ path }) => path),
  ]) {
    assert.equal(new Set(names).size, names.length);
  }
});

test('docs/configuration.md is what the schema says', (context) => {
  const page = join(import.meta.dirname, '../../docs/configuration.md');
  context.assert.fileSnapshot(configurationPage(), page, { serializers: [String] });
});
