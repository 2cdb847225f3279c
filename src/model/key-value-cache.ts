import { throughE4m3 } from '../tensor/index.js';
import type { KeyValueScales } from './decoder.js';
import type { KeyValues } from './loaded-block.js';

/** Keys and values as a cache of FP8 (E4M3) with these scales gives them back. */
export function throughCache({ key, value }: KeyValueScales): KeyValues {
  return (keys, values) => [throughE4m3(keys, key), throughE4m3(values, value)];
}
