import { fullMask } from './mask.js';
import type { FreePattern, PatternFamily } from './pattern.js';
import { removedCount } from './removal.js';
import { rankKeys } from './scores.js';
import { removeSmallest } from './select.js';

/** Any weight may go. Ties are as likely as weights stored in 8 bits, so they are decided by index, not by chance. */
const pattern: FreePattern = {
  kind: 'free',
  name: 'unstructured',
  mask(scores, { sparsity, compare }) {
    const { rows, columns } = scores;
    const mask = fullMask(rows, columns);
    const keys = rankKeys(scores);
    const group = compare === 'row' ? columns : rows * columns;
    const removed = removedCount(group, sparsity);
    for (let start = 0; start < keys.length; start += group) {
      removeSmallest(keys, mask.bits, { start, end: start + group }, removed);
    }
    return mask;
  },
};

const unstructured: PatternFamily = {
  form: 'unstructured',
  parse: (text) => (text === pattern.name ? pattern : undefined),
};

export default unstructured;
