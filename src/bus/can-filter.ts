import { CAN_FILTERS_MAX } from '../shared/limits.ts';
import { ID_WORD_ERROR, ID_WORD_EXTENDED, STANDARD_CAN_ID_MAX } from './can-frame.ts';

/**
 * Which frames the kernel hands over (CAN_RAW_FILTER; Linux: Documentation/networking/can.rst), as can-utils write it
 * (candump --help), in hexadecimal:
 *
 *   123:7FF              frames whose id has the bits of 123 where 7FF has ones
 *   12345678:DFFFFFFF    the same of 29 bits: an id of 8 digits
 *   200~700              frames that 200:700 doesn't match
 *   j                    frames that all filters match, rather than one of them
 *
 * The flags of an id word may stand in a mask: 123:C00007FF is 123 of 11 bits that is no remote frame, where 123:7FF is
 * also any id of 29 bits that ends like it. Error frames pass no filter, but are never kept back by one either.
 */
export interface CanFilters {
  readonly terms: readonly CanFilter[];
  /** Whether a frame is to match all of them. */
  readonly isJoined: boolean;
}

export interface CanFilter {
  /** Id words (linux/can.h), without the flag of error frames, which the kernel reads as "inverted". */
  readonly idWord: number;
  readonly mask: number;
  readonly isInverted: boolean;
}

export const CAN_FILTER_FORM = '123:7FF, 12345678:DFFFFFFF or 200~700, separated by commas, perhaps with j';

/** What is wrong with the text of filters: what was expected, and the part that was found instead. */
export class CanFilterError extends Error {
  readonly found: string;

  constructor(expected: string, found: string) {
    super(`expected ${expected}`);
    this.found = found;
  }
}

/** Reads filters; throws CanFilterError. */
export function parseCanFilters(text: string): CanFilters {
  const parts = text.split(',');
  const words = parts.filter((part) => part.toLowerCase() !== 'j');
  if (words.length === 0) throw new CanFilterError(`a filter at least: ${CAN_FILTER_FORM}`, text);
  if (words.length > CAN_FILTERS_MAX) {
    throw new CanFilterError(`${CAN_FILTERS_MAX} filters at most`, `${words.length} filters`);
  }
  return { terms: words.map(parseFilter), isJoined: words.length < parts.length };
}

function parseFilter(text: string): CanFilter {
  const match = /^([0-9a-f]+)([:~])([0-9a-f]{1,8})$/i.exec(text);
  if (match === null) throw new CanFilterError(CAN_FILTER_FORM, text);
  const [, idText, separator, maskText] = match as unknown as [string, string, string, string];
  const id = Number.parseInt(idText, 16);
  const isLong = idText.length === 8;
  if (!isLong && (idText.length > 3 || id > STANDARD_CAN_ID_MAX)) {
    throw new CanFilterError('an id of 000 to 7FF, or of 8 digits where it has 29 bits', text);
  }
  if (isLong && (id & ID_WORD_ERROR) !== 0) {
    throw new CanFilterError('an id of 29 bits, 00000000 to 1FFFFFFF', text);
  }
  return {
    idWord: isLong ? (id | ID_WORD_EXTENDED) >>> 0 : id,
    mask: (Number.parseInt(maskText, 16) & ~ID_WORD_ERROR) >>> 0,
    isInverted: separator === '~',
  };
}

/** The text of filters; parseCanFilters gives the same back. */
export function formatCanFilters({ terms, isJoined }: CanFilters): string {
  const words = terms.map(({ idWord, mask, isInverted }) => {
    const isLong = (idWord & ID_WORD_EXTENDED) !== 0;
    const digits = hex(isLong ? idWord - ID_WORD_EXTENDED : idWord, isLong ? 8 : 3);
    return `${digits}${isInverted ? '~' : ':'}${hex(mask, 3)}`;
  });
  return [...words, ...(isJoined ? ['j'] : [])].join(',');
}

/** Filters as setsockopt takes them: an array of struct can_filter (linux/can.h), id and mask. */
export function canFilterWords({ terms }: CanFilters): Int32Array {
  return Int32Array.from(
    terms.flatMap(({ idWord, mask, isInverted }) => [isInverted ? idWord | ID_WORD_ERROR : idWord, mask]),
  );
}

/** Whether a data frame of classic CAN with an 11-bit id passes. */
export function passesCanFilters({ terms, isJoined }: CanFilters, canId: number): boolean {
  const matches = ({ idWord, mask, isInverted }: CanFilter) =>
    (((canId ^ idWord) & mask) === 0) !== isInverted;
  return isJoined ? terms.every(matches) : terms.some(matches);
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
