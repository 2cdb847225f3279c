import { BirdboneError } from '../errors.js';
import { fullMask, type Mask } from './mask.js';
import type { FixedPattern, PatternFamily } from './pattern.js';
import { type MatrixScores, rankKeys } from './scores.js';
import { removeSmallest } from './select.js';

/** Up to here comparing all pairs of a group is faster than four radix passes over it. */
const PAIRWISE_LIMIT = 16;

/**
 * N kept of every M consecutive inputs of a row; a last, shorter group keeps min(N, its length). 2:4 is what sparse tensor
 * cores take. Source: Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks".
 */
const nm: PatternFamily = {
  form: 'N:M (N kept of every M inputs, as 2:4)',
  parse(text) {
    const match = /^(\d+):(\d+)$/.exec(text);
    if (match === null) return undefined;
    const kept = Number(match[1]);
    const group = Number(match[2]);
    if (kept < 1 || kept >= group || !Number.isSafeInteger(group)) refuse(text, kept, group);
    const pattern: FixedPattern = {
      kind: 'fixed',
      name: `${kept}:${group}`,
      sparsity: 1 - kept / group,
      group,
      kept,
      mask: (scores) => maskGroups(scores, kept, group),
    };
    return pattern;
  },
};

export default nm;

function refuse(text: string, kept: number, group: number): never {
  const swapped = group >= 1 && kept > group ? [`Did you mean ${group}:${kept}?`] : [];
  throw new BirdboneError(
    'usage',
    `The pattern "${text}" removes nothing or everything: N:M keeps N of every M inputs, N at least 1 and less than M.`,
    { suggestions: [...swapped, 'Keep half, as sparse tensor cores take it: --pattern 2:4'] },
  );
}

function maskGroups(scores: MatrixScores, kept: number, group: number): Mask {
  const mask = fullMask(scores.rows, scores.columns);
  const keys = rankKeys(scores);
  const remove = group <= PAIRWISE_LIMIT ? removeByPairs : removeSmallest;
  for (let row = 0; row < scores.rows; row++) {
    const rowEnd = (row + 1) * scores.columns;
    for (let start = row * scores.columns; start < rowEnd; start += group) {
      const end = Math.min(start + group, rowEnd);
      const removed = end - start - Math.min(kept, end - start);
      remove(keys, mask.bits, { start, end }, removed);
    }
  }
  return mask;
}

/** For each key of a group, how many go before it. */
const goesBefore = new Int32Array(PAIRWISE_LIMIT);

/** What removeSmallest does, by comparing every pair of the group once. */
function removeByPairs(
  keys: Int32Array,
  bits: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
  removed: number,
): void {
  goesBefore.fill(0);
  for (let i = start; i < end; i++) {
    const key = keys[i]!;
    let before = goesBefore[i - start]!;
    for (let j = i + 1; j < end; j++) {
      const later = keys[j]! < key ? 1 : 0;
      before += later;
      goesBefore[j - start]! += 1 - later;
    }
    if (before < removed) bits[i >>> 3]! &= ~(1 << (i & 7));
  }
}
