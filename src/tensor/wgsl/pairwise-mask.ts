import { laneJob, PLACE } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';
import { RANK_KEY } from './ranked-scores.js';

const BITS = 32;
const LANES = 64;
/** Up to here comparing each score with all of its group takes less than a selection by a workgroup. */
export const PAIRWISE_LIMIT = 32;

/**
 * As `birdbone.BoundaryMask`, for the groups of N:M: scores [rows, columns], the attributes `group` and `kept` → words of bits. A
 * score goes when fewer of its group than are to go come before it: smaller ones, and equals with a lower index.
 *
 * Floor: 4 bytes a score and 3·M operations; each score is read M times, all but once from cache.
 */
export const pairwiseMaskKernel: WgslKernel = {
  operation: 'birdbone.PairwiseMask',
  run({ inputs, attributes }, gpu) {
    const scores = inputs['scores']!;
    const [rows, columns] = scores.shape as [number, number];
    const words = Math.ceil((rows * columns) / BITS);
    const mask = gpu.create([words], 'int32');
    gpu.run(program, {
      inputs: { scores },
      outputs: { mask },
      uniforms: {
        scores: rows * columns,
        columns,
        size: Number(attributes['group']),
        kept: Number(attributes['kept']),
        words,
      },
      workgroups: foldWorkgroups(Math.ceil(words / LANES), gpu.limits),
    });
    return mask;
  },
};

const program: Program = {
  name: 'pairwise-mask',
  inputs: { scores: 'u32' },
  outputs: { mask: 'u32' },
  uniforms: { scores: 'u32', columns: 'u32', size: 'u32', kept: 'u32', words: 'u32' },
  code: () => `
    ${RANK_KEY}
    @compute @workgroup_size(${LANES})
    fn main(${PLACE}) {
      ${laneJob('word', 'u.words', LANES)}
      let first = word * ${BITS}u;
      var bits = 0u;
      for (var bit = 0u; bit < min(${BITS}u, u.scores - first); bit++) {
        let i = first + bit;
        let column = i % u.columns;
        let begin = i - column % u.size;
        let end = begin + min(u.size, u.columns - (column - column % u.size));
        let key = keyOf(scores[i]);
        var before = 0u;
        for (var j = begin; j < end; j++) {
          let other = keyOf(scores[j]);
          before += u32(other < key || (other == key && j < i));
        }
        bits |= select(0u, 1u << bit, before + u.kept >= end - begin);
      }
      mask[word] = bits;
    }`,
};
