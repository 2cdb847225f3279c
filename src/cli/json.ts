import { printableJson } from './printable.js';

/**
 * The JSON text of a command's result. A bigint becomes a number where that is exact and a string where it is not, for
 * JSON.stringify would throw on it after the work is done. What would steer a terminal is escaped.
 */
export function toJson(value: unknown): string {
  const text = JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === 'bigint' ? withoutBigint(item) : item),
    2,
  );
  return printableJson(text);
}

function withoutBigint(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}
