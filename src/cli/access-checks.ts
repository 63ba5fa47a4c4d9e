import { pino } from 'pino';
import { ApiSecurity } from '../api/security/api-security.ts';
import { isLoopback } from '../api/security/loopback.ts';
import type { ApiConfig } from '../config/schema.ts';
import { type Check, ok, problem, warning } from '../doctor/check.ts';
import { errorCode, errorMessage } from '../shared/errors.ts';

/** From so many days ahead of its end on a certificate is worth a word. */
const CERTIFICATE_DAYS_LEFT_LOW = 14;
const DAY_MS = 86_400_000;

/** Whether the service would start with what the configuration says of tokens and certificate, and who may then use the API. */
export function checkAccess(api: ApiConfig): Check[] {
  let security: ApiSecurity;
  try {
    security = new ApiSecurity(api, pino({ enabled: false }));
  } catch (error) {
    const name = errorCode(error) === 'TLS_INVALID' ? 'certificate' : 'tokens';
    return [problem(name, errorMessage(error), 'files that the service can use')];
  }
  try {
    return [access(api, security), ...certificate(security)];
  } finally {
    security.close();
  }
}

function access({ host, anonymous }: ApiConfig, security: ApiSecurity): Check {
  const { count } = security.tokens;
  const tokens = `${count} ${count === 1 ? 'token' : 'tokens'}`;
  try {
    security.checkAddress();
  } catch {
    return problem(
      'access',
      `${host} is on a network, and nobody is told to be allowed to use the API: the service won't start`,
      'a token, or that everybody may read',
      'Make a token: telemetry-collector token create --name dashboard --scope read',
      'Or let everybody on the network read: --anonymous read',
    );
  }
  if (isLoopback(host)) return ok('access', `this machine alone${anonymous === 'none' ? `, ${tokens}` : ''}`);
  return ok('access', anonymous === 'read' ? `everybody may read, ${tokens}` : tokens);
}

function certificate({ certificate }: ApiSecurity): Check[] {
  if (certificate === null) return [];
  const { expiresMs } = certificate;
  const until = `until ${new Date(expiresMs).toISOString().slice(0, 10)}`;
  const daysLeft = (expiresMs - Date.now()) / DAY_MS;
  const renew = 'Renew it: the service takes the new files by itself.';
  if (daysLeft < 0) return [problem('certificate', `good ${until}`, 'one that has not expired', renew)];
  if (daysLeft < CERTIFICATE_DAYS_LEFT_LOW) {
    return [warning('certificate', `good ${until}`, 'one for longer', renew)];
  }
  return [ok('certificate', `good ${until}`)];
}
