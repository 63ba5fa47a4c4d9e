import type { BusConfig, CollectorConfig } from '../config/schema.ts';
import { VERSION } from '../version.ts';

/** Which bus is read. */
export function busLine({ name, url, spec }: BusConfig): string {
  return `  Reading   ${name} (${url})${spec.kind === 'sim' ? '  SIMULATED: not a real vehicle' : ''}`;
}

/** What a person sees at the start: what is read, where it is served and kept, and what to do next. */
export function banner(config: CollectorConfig, apiUrl: string): string {
  const isSimulated = config.buses.some(({ spec }) => spec.kind === 'sim');
  const lines = [
    `telemetry-collector ${VERSION}`,
    '',
    ...config.buses.map(busLine),
    `  Serving   ${apiUrl}  (the dashboard: open it in a browser)`,
    `            ${apiUrl}/api/state/current`,
    `            ${apiUrl}/api/state/history?limit=10`,
    `            ${apiUrl}/api/status`,
    `  History   ${config.history.path}`,
  ];
  if (config.recording.path !== null) lines.push(`  Recording ${config.recording.path}`);
  if (config.commands.enabled === 'on') {
    lines.push(`  Commands  POST ${apiUrl}/api/command; audit log ${config.commands.audit}`);
  }
  if (config.log.file !== null) lines.push(`  Log       ${config.log.file}`);
  if (isSimulated) {
    lines.push(
      '',
      '  To read a real CAN bus, bring its interface up and name it:',
      '    sudo ip link set can0 up type can bitrate 500000',
      '    npm start -- --bus socketcan:can0        (or CAN_INTERFACE=can0 npm start)',
      '  To replay a log:  npm start -- --bus candump:drive.log',
    );
  }
  lines.push('', '  Stop with Ctrl+C. All options: npm start -- --help', '');
  return `${lines.join('\n')}\n`;
}
