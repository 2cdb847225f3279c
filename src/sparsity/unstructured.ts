import { fullMask } from './mask.js';
import type { FreePattern, PatternFamily } from './pattern.js';
import { removedCount } from './removal.js';
import { rankKeys } from './scores.js';
import { removeSmallest } from './select.js';

/** Any weight may go. Ties are as likely as weights stored in 8 bits, so they are decided by index, not by chance. */
const pattern: FreePattern = {
  kind: 'free',
  name: 'unstructured',
  mask(scores, removal) {
    const { rows, columns } = scores;
    const mask = fullMask(rows, columns);
    const keys = rankKeys(scores);
    if ('rowCounts' in removal) {
      for (let row = 0; row < rows; row++) {
        const range = { start: row * columns, end: (row + 1) * columns };
        removeSmallest(keys, mask.bits, range, removal.rowCounts[row]!);
      }
      return mask;
    }
    const group = removal.compare === 'row' ? columns : rows * columns;
    const groups = keys.length / group;
    const removed = 'removed' in removal ? Math.floor(removal.removed / groups) : removedCount(group, removal.sparsity);
    for (let start = 0; start < keys.length; start += group) {
      removeSmallest(keys, mask.bits, { start, end: start + group }, removed);
    }
    if ('removed' in removal) removeOneMore(keys, mask.bits, group, removal.removed - groups * removed);
    return mask;
  },
};

/** Clears one more bit in `count` of the groups: those whose smallest kept key is smallest, of equals the first. */
function removeOneMore(keys: Int32Array, bits: Uint8Array, group: number, count: number): void {
  const next: number[] = [];
  for (let start = 0; count > 0 && start < keys.length; start += group) {
    const smallest = smallestKept(keys, bits, start, start + group);
    if (smallest !== undefined) next.push(smallest);
  }
  next.sort((a, b) => keys[a]! - keys[b]! || a - b);
  for (const i of next.slice(0, count)) bits[i >>> 3]! &= ~(1 << (i & 7));
}

/** The index of the smallest of keys[start, end) whose bit is set, of equals the first. */
function smallestKept(keys: Int32Array, bits: Uint8Array, start: number, end: number): number | undefined {
  let smallest: number | undefined;
  for (let i = start; i < end; i += 1) {
    const isKept = ((bits[i >>> 3]! >>> (i & 7)) & 1) === 1;
    if (isKept && (smallest === undefined || keys[i]! < keys[smallest]!)) smallest = i;
  }
  return smallest;
}

const unstructured: PatternFamily = {
  form: 'unstructured',
  parse: (text) => (text === pattern.name ? pattern : undefined),
};

export default unstructured;
