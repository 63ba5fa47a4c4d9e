import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Command } from 'commander';

import { SETTINGS } from '../config/reference.ts';
import { addSettingOptions, settingFlags } from './options.ts';

function parsed(...words: string[]) {
  const command = addSettingOptions(new Command('collector')).exitOverride();
  command.configureOutput({ writeErr: () => {} });
  command.parse(words, { from: 'user' });
  return settingFlags(command);
}

test('the flags that were given are collected, the others are absent', () => {
  assert.deepEqual(parsed(), {});
  assert.deepEqual(parsed('--port', '0', '--log-level', 'debug', '--db', 'x.db'), {
    port: '0',
    'log-level': 'debug',
    db: 'x.db',
  });
  assert.deepEqual(parsed('--bus', 'sim:kart', '--bus', 'socketcan:can0'), {
    bus: ['sim:kart', 'socketcan:can0'],
  });
  assert.deepEqual(parsed('--config=kart.yaml', '--node-id=0x10'), {
    config: 'kart.yaml',
    'node-id': '0x10',
  });
});

test('the help has every flag with its default and its environment variable', () => {
  const help = addSettingOptions(new Command('collector'))
    .configureHelp({ helpWidth: 1_000 })
    .helpInformation();
  for (const { inputs } of SETTINGS) {
    for (const { flag, env } of inputs) {
      if (flag !== undefined) assert.match(help, new RegExp(`--${flag} <`));
      if (env !== undefined) assert.match(help, new RegExp(`env: ${env}\\)`));
    }
  }
  assert.match(help, /--port <PORT> .*\(default: 5001; env: API_PORT\)/);
  assert.match(help, /--db <FILE> .*\(default: collector\.db in the state directory; env: DB_PATH\)/);
  assert.match(help, /--config <FILE> .*collector\.yaml if it exists/);
});
