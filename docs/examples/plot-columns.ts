/** Draws signals of the last minute:  node plot-columns.ts MOTORS/MOTOR_LEFT_REAR/RPM NAVIGATION/GPS_PRIMARY/SPEED */
import { CollectorClient } from 'telemetry-collector/client';

const { COLLECTOR_URL: url = 'http://127.0.0.1:5001', COLLECTOR_TOKEN: token } = process.env;
const signals = process.argv.slice(2);
const client = new CollectorClient({ url, token });

const from = new Date(Date.now() - 60_000);
const series = await client.series({ signals, from, points: 60 });
for (const [index, { mean, min, max, unit }] of series.signals.entries()) {
  const known = (column: (number | null)[]) => column.filter((value) => value !== null);
  const [least, most] = [Math.min(...known(min)), Math.max(...known(max))];
  const step = (most - least) / 7 || 1;
  const line = mean.map((value) => (value === null ? ' ' : '▁▂▃▄▅▆▇█'[Math.round((value - least) / step)]));
  console.log(`${signals[index]}  ${least} to ${most} ${unit ?? ''}\n${line.join('')}`);
}
