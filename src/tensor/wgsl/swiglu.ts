import { util } from '@tensorflow/tfjs-core';
import { laneJob, PLACE } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';
import { loadWidth } from './row-reduction.js';

const LANES = 256;

/**
 * `swiglu`, element by element.
 *
 * Floor: 12 bytes an element (gate and up read, result written) and some 10 operations, so that memory decides.
 */
export const swigluKernel: WgslKernel = {
  operation: 'birdbone.Swiglu',
  run({ inputs }, gpu) {
    const { gate, up } = inputs as Record<'gate' | 'up', (typeof inputs)[string]>;
    const output = gpu.create(gate.shape);
    const elements = util.sizeFromShape(gate.shape);
    const width = loadWidth(elements);
    gpu.run(programs[width], {
      inputs: { gate, up },
      outputs: { output },
      uniforms: { loads: elements / width },
      workgroups: foldWorkgroups(Math.ceil(elements / width / LANES), gpu.limits),
    });
    return output;
  },
};

const programs = { 1: programFor('f32'), 4: programFor('vec4f') };

function programFor(element: 'f32' | 'vec4f'): Program {
  return {
    name: `swiglu ${element}`,
    inputs: { gate: element, up: element },
    outputs: { output: element },
    uniforms: { loads: 'u32' },
    code: () => `
      @compute @workgroup_size(${LANES})
      fn main(${PLACE}) {
        ${laneJob('i', 'u.loads', LANES)}
        let g = gate[i];
        // sigmoid(g) is 1 / (1 + e) or e / (1 + e) with e = exp(−|g|): no exp overflows, which WGSL leaves undefined.
        let e = exp(-abs(g));
        let sigmoid = select(e, ${element}(1.0), g >= ${element}(0.0)) / (1.0 + e);
        output[i] = g * sigmoid * up[i];
      }`,
  };
}
