import type { JsonObject } from '../checkpoint/index.js';

/** Keys whose values are ids that must stay: `bos_token_id`, `eos_token_id` (one or several), `pad_token_id` … */
const NAMED = /_token_id$/;
/** Keys whose values are lists of ids of which some may go. */
const LISTED: readonly string[] = ['suppress_tokens', 'begin_suppress_tokens'];

/** The ids that a config.json or generation_config.json names. −1 stands for none in some, and is left out. */
export function idsIn(config: JsonObject): number[] {
  return Object.entries(config).flatMap(([key, value]) => {
    if (!NAMED.test(key)) return [];
    return (Array.isArray(value) ? value : [value]).filter((id): id is number => isId(id));
  });
}

/** The config with its ids under their new numbers. `newIds` has −1 for tokens that are gone; those named stay. */
export function withNewIds(config: JsonObject, newIds: Int32Array): JsonObject {
  const renumber = (value: unknown) => (isId(value) && value < newIds.length ? newIds[value]! : value);
  const entries = Object.entries(config).map(([key, value]): [string, unknown] => {
    if (NAMED.test(key)) return [key, Array.isArray(value) ? value.map(renumber) : renumber(value)];
    if (!LISTED.includes(key) || !Array.isArray(value)) return [key, value];
    return [key, value.map(renumber).filter((id) => id !== -1)];
  });
  return Object.fromEntries(entries);
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
