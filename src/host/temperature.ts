import { listSystemFolder, readSystemText } from './system-files.ts';

const THERMAL = 'sys/class/thermal';

/** What drivers call the processor's own sensor: `cpu-thermal` on a Raspberry Pi, `x86_pkg_temp` on a PC. */
const OF_PROCESSOR = /cpu|soc|x86_pkg/i;

/** The processor's temperature; that of the first sensor where none says that it is the processor's, null where none tells. */
export async function readTemperatureC(root: string): Promise<number | null> {
  const zones = (await listSystemFolder(root, THERMAL))
    .filter((name) => /^thermal_zone\d+$/.test(name))
    .sort((left, right) => left.localeCompare(right, 'en', { numeric: true }));
  const types = await Promise.all(zones.map((zone) => readSystemText(root, `${THERMAL}/${zone}/type`)));
  const isOfProcessor = (_: string, index: number) => OF_PROCESSOR.test(types[index] ?? '');
  for (const zone of [...zones.filter(isOfProcessor), ...zones]) {
    const text = await readSystemText(root, `${THERMAL}/${zone}/temp`);
    // The kernel gives thousandths of a degree.
    if (text !== null && /^-?\d+$/.test(text)) return Number(text) / 1000;
  }
  return null;
}
