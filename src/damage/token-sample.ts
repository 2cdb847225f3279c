import type { TokenBatch } from '../model/index.js';

/**
 * Which real tokens of each batch are looked at, `wanted` of all together or all there are: ordinals among the batch's own, rising,
 * evenly spread over the text.
 */
export function sampleTokens(batches: readonly TokenBatch[], wanted: number): Int32Array[] {
  const counts = batches.map(({ lengths }) => lengths.reduce((sum, length) => sum + length, 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const taken = Math.min(wanted, total);
  const chosen = Array.from({ length: taken }, (_, k) => Math.floor(((k + 0.5) * total) / taken));
  let first = 0;
  return counts.map((count) => {
    const own = chosen.filter((token) => token >= first && token < first + count).map((token) => token - first);
    first += count;
    return Int32Array.from(own);
  });
}

/** Batches evenly spread over all, with about so many tokens; at least one. */
export function sampleBatches(batches: readonly TokenBatch[], tokens: number): number[] {
  const total = batches.reduce((sum, { ids }) => sum + ids.length, 0);
  const every = Math.max(1, Math.floor(total / tokens));
  return batches.flatMap((_, i) => (i % every === 0 ? [i] : []));
}
