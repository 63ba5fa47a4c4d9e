import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { servePipeline } from '../../../test/support/served-pipeline.ts';
import type { ComponentTypeCatalog, ProtocolCatalog } from '../../protocol/protocol-registry.ts';

const served = await servePipeline({ after }, '');

async function get<T>(path: string): Promise<T> {
  const response = await served.get(path);
  assert.equal(response.status, 200);
  return response.json() as Promise<T>;
}

test('the protocol is served whole', async () => {
  const catalog = await get<ProtocolCatalog>('/api/protocol');
  assert.deepEqual(catalog, JSON.parse(JSON.stringify(served.pipeline.registry.catalog())));
  assert.deepEqual(
    catalog.message_types.map(({ name }) => name),
    ['COMMAND', 'STATUS', 'ACK', 'ERROR'],
  );
});

test('one component type is served by its name in any case or its number', async () => {
  for (const text of ['MOTORS', 'motors', '1']) {
    const { name, commands } = await get<ComponentTypeCatalog>(`/api/protocol/${text}`);
    assert.equal(name, 'MOTORS');
    const rpm = commands.find((command) => command.name === 'RPM');
    assert.deepEqual([rpm?.id, rpm?.unit, rpm?.value_type], [1, 'rpm', 'UINT16']);
  }
});

test('a type that there is not, or of which nothing is known, is 404 with those that are', async () => {
  for (const [text, message] of [
    ['ENGINES', /There is no component type "ENGINES"\. There are: LIGHTS, MOTORS/],
    ['TYPE_6', /The protocol says nothing of TYPE_6\. It knows: LIGHTS, MOTORS/],
    ['7', /The protocol says nothing of TYPE_7/],
    ['__proto__', /There is no component type "__proto__"/],
    ['toString', /There is no component type "toString"/],
  ] as const) {
    const refusal = await served.refusal(`/api/protocol/${text}`);
    assert.deepEqual([refusal.statusCode, refusal.code], [404, 'COMPONENT_TYPE_UNKNOWN']);
    assert.match(refusal.message, message);
  }
});
