import { util } from '@tensorflow/tfjs-core';
import { laneJob, PLACE } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';
import { loadWidth } from './row-reduction.js';

const LANES = 256;

/**
 * `addToSums` (ops/running-sums.ts), element by element: what a float32 sum rounds away is found by Knuth's two-sum and kept beside it.
 * New tensors, as tfjs's are never written over.
 *
 * Floor: 20 bytes an element (both parts and the term read, both parts written) and 8 operations, so that memory decides.
 */
export const addToSumsKernel: WgslKernel = {
  operation: 'birdbone.AddToSums',
  run({ inputs }, gpu) {
    const { high, low, terms } = inputs as Record<'high' | 'low' | 'terms', (typeof inputs)[string]>;
    const outputs = { sums: gpu.create(terms.shape), rests: gpu.create(terms.shape) };
    const elements = util.sizeFromShape(terms.shape);
    const width = loadWidth(elements);
    gpu.run(programs[width], {
      inputs: { high, low, terms },
      outputs,
      uniforms: { loads: elements / width, zero: 0 },
      workgroups: foldWorkgroups(Math.ceil(elements / width / LANES), gpu.limits),
    });
    return [outputs.sums, outputs.rests];
  },
};

const programs = { 1: programFor('f32', 'u32'), 4: programFor('vec4f', 'vec4u') };

function programFor(element: 'f32' | 'vec4f', bits: 'u32' | 'vec4u'): Program {
  return {
    name: `add-to-sums ${element}`,
    inputs: { high: element, low: element, terms: element },
    outputs: { sums: element, rests: element },
    uniforms: { loads: 'u32', zero: 'u32' },
    code: () => `
      // A compiler may reorder sums of floats, by which every rest is 0. It cannot see through integers that only the host knows.
      fn rounded(value: ${element}) -> ${element} {
        return bitcast<${element}>(bitcast<${bits}>(value) ^ ${bits}(u.zero));
      }
      @compute @workgroup_size(${LANES})
      fn main(${PLACE}) {
        ${laneJob('i', 'u.loads', LANES)}
        let before = high[i];
        let term = terms[i];
        let sum = rounded(before + term);
        let added = rounded(sum - before);
        let kept = rounded(sum - added);
        let rest = rounded(before - kept) + rounded(term - added);
        // Beside an infinite sum the rest would be no number.
        let endless = (bitcast<${bits}>(sum) & ${bits}(0x7f800000u)) == ${bits}(0x7f800000u);
        sums[i] = sum;
        rests[i] = select(low[i] + rest, ${element}(0.0), endless);
      }`,
  };
}
