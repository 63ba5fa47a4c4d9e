import type { StatusReply } from '../schemas.ts';

/**
 * Folders ahead of a file's name, wherever a text mentions one; their names may have single spaces. What has no slash at its
 * beginning, as CAN_BUS/can0/STATE, is none.
 */
const FOLDERS = /(?<![\w.~/-])~?\/(?:[^\s/:;,'"()]+(?: [^\s/:;,'"()]+)*\/)+/g;

/** The text without the folders of this machine: of `/home/pi/drive.log` what is left is `drive.log`. */
export function withoutFolders(text: string): string {
  return text.replace(FOLDERS, '');
}

/**
 * The status as it is told to those who needn't know how this machine is set up: where its files are is left out, and in what is
 * said of buses and troubles files have their names alone. To a reader the paths are of no use; to an intruder they tell
 * users, mounts, and where to look.
 */
export function withoutPaths(status: StatusReply): StatusReply {
  const shown = mapTexts(status, withoutFolders);
  const { history, recording, commands } = shown;
  return {
    ...shown,
    commands: { ...commands, audit: { ...commands.audit, path: null } },
    history: { ...history, path: null, set_aside: history.set_aside && { ...history.set_aside, path: null } },
    recording: recording && { ...recording, path: null },
  };
}

/** A copy in which each text has gone through `change`. */
function mapTexts<T>(value: T, change: (text: string) => string): T {
  if (typeof value === 'string') return change(value) as T;
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, change)])) as T;
}
