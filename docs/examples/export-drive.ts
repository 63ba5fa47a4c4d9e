/** Writes a drive as CSV:  node export-drive.ts 2026-01-01T12:00 2026-01-01T13:00 > drive.csv */
import { CollectorClient } from 'telemetry-collector/client';

const { COLLECTOR_URL: url = 'http://127.0.0.1:5001', COLLECTOR_TOKEN: token } = process.env;
const [from, to] = process.argv.slice(2);
const client = new CollectorClient({ url, token });

console.log('timestamp,signal,value,unit');
for await (const sample of client.export({ from, to, order: 'asc' })) {
  const { timestamp, component_type, component_id, command_id, value, unit } = sample;
  console.log(`${timestamp},${component_type}/${component_id}/${command_id},${value},${unit ?? ''}`);
}
for (const gap of await client.gaps({ from, to })) {
  console.error(`Samples are missing from ${gap.from} to ${gap.to}: ${gap.cause}.`);
}
