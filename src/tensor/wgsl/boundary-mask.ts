import { PLACE, workgroupJob } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';
import { RANK_KEY } from './ranked-scores.js';

/** Bits of a word, each a score's. */
const BITS = 32;
const LANES = 64;
/** One more than a word has bits, so that lanes side by side read different banks of shared memory. */
const PITCH = BITS + 1;

/**
 * The bits of the scores that stay, lowest first, from what `birdbone.GroupBoundaries` found of them: scores [rows, columns],
 * boundaries [groups, 2], the attribute `group` → words [⌈rows · columns / 32⌉] int32. Bits behind the last are 0.
 *
 * Floor: 4 bytes and some 10 operations a score, an eighth of a byte of mask: memory decides.
 */
export const boundaryMaskKernel: WgslKernel = {
  operation: 'birdbone.BoundaryMask',
  run({ inputs, attributes }, gpu) {
    const { scores, boundaries } = inputs as Record<'scores' | 'boundaries', (typeof inputs)[string]>;
    const [rows, columns] = scores.shape as [number, number];
    const group = Number(attributes['group']);
    const words = Math.ceil((rows * columns) / BITS);
    const mask = gpu.create([words], 'int32');
    gpu.run(program, {
      inputs: { scores, boundaries },
      outputs: { mask },
      uniforms: { scores: rows * columns, columns, size: group, perRow: Math.ceil(columns / group), words },
      workgroups: foldWorkgroups(Math.ceil(words / LANES), gpu.limits),
    });
    return mask;
  },
};

const program: Program = {
  name: 'boundary-mask',
  inputs: { scores: 'u32', boundaries: 'vec2u' },
  outputs: { mask: 'u32' },
  uniforms: { scores: 'u32', columns: 'u32', size: 'u32', perRow: 'u32', words: 'u32' },
  code: () => `
    ${RANK_KEY}
    // A lane reads scores one after another, but lanes side by side load scores side by side.
    var<workgroup> keys: array<u32, ${LANES * PITCH}>;

    @compute @workgroup_size(${LANES})
    fn main(${PLACE}) {
      ${workgroupJob('firstWord', 'u.words', LANES)}
      for (var i = lane; i < ${LANES * BITS}u; i += ${LANES}u) {
        let at = firstWord * ${BITS}u + i;
        if (at < u.scores) { keys[(i / ${BITS}u) * ${PITCH}u + i % ${BITS}u] = keyOf(scores[at]); }
      }
      workgroupBarrier();
      let word = firstWord + lane;
      if (word >= u.words) { return; }
      let first = word * ${BITS}u;
      var row = first / u.columns;
      var column = first % u.columns;
      var bits = 0u;
      for (var bit = 0u; bit < min(${BITS}u, u.scores - first); bit++) {
        let boundary = boundaries[row * u.perRow + column / u.size];
        let key = keys[lane * ${PITCH}u + bit];
        let goes = key < boundary.x || (key == boundary.x && column % u.size < boundary.y);
        bits |= select(1u << bit, 0u, goes);
        column++;
        if (column == u.columns) { column = 0u; row++; }
      }
      mask[word] = bits;
    }`,
};
