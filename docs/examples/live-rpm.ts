/** Prints the motors' RPM twice a second until Ctrl+C:  node live-rpm.ts */
import { CollectorClient } from 'telemetry-collector/client';

const { COLLECTOR_URL: url = 'http://127.0.0.1:5001', COLLECTOR_TOKEN: token } = process.env;
const stream = new CollectorClient({ url, token }).stream();
stream.onState((state, problem) => {
  if (state === 'waiting') console.error(problem?.message);
});
for await (const { samples } of stream.updates({ signals: ['MOTORS/*/RPM'], maxHz: 2 })) {
  for (const { component_id, value, unit } of samples) console.log(`${component_id} ${value} ${unit}`);
}
