import { BirdboneError } from '../../errors.js';

/** No config nests deeper than a handful of levels; this keeps a hostile one from exhausting the stack. */
const MAX_DEPTH = 256;

/**
 * JSON text that is the same for every way of writing the same value: no white space, keys in UTF-16 code unit order.
 * Takes what JSON.parse returns. Throws `unreadable` for a value nested deeper than 256 levels.
 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (depth === MAX_DEPTH) throw new BirdboneError('unreadable', `JSON is nested deeper than ${MAX_DEPTH} levels.`);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, depth + 1)).join(',')}]`;
  const fields = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson((value as Record<string, unknown>)[key], depth + 1)}`);
  return `{${fields.join(',')}}`;
}
