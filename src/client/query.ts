/** What can be asked: the API's parameters (docs/http-api.md), in camel case. test/client.test.ts holds them together. */

/** Seconds since the epoch, ISO 8601 (UTC where there is no offset), or a Date. */
export type Time = number | string | Date;

/** A name, in any letter case, or a number. */
export type Name = string | number;

export interface StateQuery {
  readonly componentType?: Name | undefined;
  /** Only what messages of this type say; by default a STATUS goes before others. */
  readonly messageType?: Name | undefined;
}

export type ComponentQuery = Omit<StateQuery, 'componentType'>;

/** Which samples. */
export interface SampleQuery {
  readonly componentType?: Name | undefined;
  /** Needs componentType, as does commandId. */
  readonly componentId?: Name | undefined;
  readonly commandId?: Name | undefined;
  readonly messageType?: Name | undefined;
  readonly bus?: string | undefined;
  /** Inclusive. */
  readonly from?: Time | undefined;
  /** Inclusive. */
  readonly to?: Time | undefined;
  /** By arrival; desc, the default, gives the newest first. */
  readonly order?: 'asc' | 'desc' | undefined;
  /** At most so many. */
  readonly limit?: number | undefined;
  /** So many are left out first. */
  readonly offset?: number | undefined;
  /** Where an earlier page ended: only what comes after it, in the order that is asked for. */
  readonly cursor?: number | undefined;
}

export interface SeriesQuery {
  /** Component type/component id/command id, such as MOTORS/MOTOR_LEFT_REAR/RPM. */
  readonly signals: readonly string[];
  /** Inclusive; an hour before `to` by default. */
  readonly from?: Time | undefined;
  /** Exclusive; now by default. */
  readonly to?: Time | undefined;
  /** 500 by default. */
  readonly points?: number | undefined;
  /** STATUS by default. */
  readonly messageType?: Name | undefined;
  readonly bus?: string | undefined;
}

export interface GapsQuery {
  /** Gaps that touch this time; inclusive. */
  readonly from?: Time | undefined;
  readonly to?: Time | undefined;
  /** Its gaps, and those of all buses. */
  readonly bus?: string | undefined;
  readonly limit?: number | undefined;
}

type Parameter = Name | Date | readonly string[] | undefined;

/** The query string of parameters, with its question mark; '' where there are none. */
export function queryString(parameters: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters) as [string, Parameter][]) {
    if (value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) {
      query.append(snakeCase(name), each instanceof Date ? String(each.getTime() / 1000) : String(each));
    }
  }
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

/** The same parameters by the API's names, for a body of JSON, which leaves out those that are undefined. */
export function jsonBody(parameters: object): object {
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [snakeCase(name), value]));
}

/** The name that the API has for what is called `name` here. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
