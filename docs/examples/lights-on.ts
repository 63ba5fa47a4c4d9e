/** Switches the front lights on, and says how long that took:  COLLECTOR_TOKEN=... node lights-on.ts */
import { CollectorClient, CollectorClientError } from 'telemetry-collector/client';

const { COLLECTOR_URL: url = 'http://127.0.0.1:5001', COLLECTOR_TOKEN: token } = process.env;
const client = new CollectorClient({ url, token });
const command = { componentType: 'LIGHTS', componentId: 'FRONT', commandId: 'MODE', value: 'ON' };
try {
  const { bus, round_trip_ms } = await client.command(command);
  console.log(`The lights are on: acknowledged on ${bus} after ${round_trip_ms} ms.`);
} catch (error) {
  if (!(error instanceof CollectorClientError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
