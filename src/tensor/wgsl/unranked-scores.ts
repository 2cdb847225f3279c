import { util } from '@tensorflow/tfjs-core';
import { PLACE, workgroupJob } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';
import { RANK_KEY } from './ranked-scores.js';

const LANES = 256;
/** Scores that one lane looks at, so that what is read back is a small part of them. */
const PER_LANE = 64;

/**
 * How many of each 16384 scores have no rank (NaN, infinite, negative): scores of any shape → [⌈n / 16384⌉] int32.
 *
 * Floor: 4 bytes and 4 operations a score: memory decides.
 */
export const unrankedScoresKernel: WgslKernel = {
  operation: 'birdbone.UnrankedScores',
  run({ inputs }, gpu) {
    const scores = inputs['scores']!;
    const count = util.sizeFromShape(scores.shape);
    const parts = Math.ceil(count / (LANES * PER_LANE));
    const unranked = gpu.create([parts], 'int32');
    gpu.run(program, {
      inputs: { scores },
      outputs: { unranked },
      uniforms: { count, parts },
      workgroups: foldWorkgroups(parts, gpu.limits),
    });
    return unranked;
  },
};

const program: Program = {
  name: 'unranked-scores',
  inputs: { scores: 'u32' },
  outputs: { unranked: 'u32' },
  uniforms: { count: 'u32', parts: 'u32' },
  code: () => `
    ${RANK_KEY}
    var<workgroup> total: atomic<u32>;
    @compute @workgroup_size(${LANES})
    fn main(${PLACE}) {
      ${workgroupJob('part', 'u.parts')}
      let first = part * ${LANES * PER_LANE}u;
      let end = min(first + ${LANES * PER_LANE}u, u.count);
      var found = 0u;
      for (var i = first + lane; i < end; i += ${LANES}u) { found += u32(hasNoRank(scores[i])); }
      atomicAdd(&total, found);
      workgroupBarrier();
      if (lane == 0u) { unranked[part] = atomicLoad(&total); }
    }`,
};
