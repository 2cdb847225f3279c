import { PLACE, workgroupJob } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';
import { lanesFor, loadWidth, workgroupSum } from './row-reduction.js';

/**
 * `rmsNorm`, one workgroup a row. The row is read twice, the second time from cache.
 *
 * Floor: 8·n·h bytes moved (x read, result written; the gain stays in cache) and 4·n·h operations, so that memory decides.
 */
export const rmsNormKernel: WgslKernel = {
  operation: 'birdbone.RmsNorm',
  run({ inputs, attributes }, gpu) {
    const { x, gain } = inputs as Record<'x' | 'gain', (typeof inputs)[string]>;
    const [rows, columns] = x.shape as [number, number];
    const output = gpu.create(x.shape);
    gpu.run(programFor(columns), {
      inputs: { x, gain },
      outputs: { output },
      uniforms: { rows, columns, epsilon: Number(attributes['epsilon']) },
      workgroups: foldWorkgroups(rows, gpu.limits),
    });
    return output;
  },
};

function programFor(columns: number): Program {
  const width = loadWidth(columns);
  const lanes = lanesFor(columns / width);
  const element = width === 4 ? 'vec4f' : 'f32';
  return {
    name: `rms-norm ${element} ${lanes}`,
    inputs: { x: element, gain: element },
    outputs: { output: element },
    uniforms: { rows: 'u32', columns: 'u32', epsilon: 'f32' },
    code: () => `
      ${workgroupSum('rowSum', lanes)}
      @compute @workgroup_size(${lanes})
      fn main(${PLACE}) {
        ${workgroupJob('row', 'u.rows')}
        let loads = u.columns / ${width}u;
        let start = row * loads;
        var squares = 0.0;
        for (var i = lane; i < loads; i += ${lanes}u) {
          let value = x[start + i];
          squares += ${width === 4 ? 'dot(value, value)' : 'value * value'};
        }
        let mean = rowSum(lane, squares) / f32(u.columns);
        let scale = inverseSqrt(mean + u.epsilon);
        for (var i = lane; i < loads; i += ${lanes}u) {
          output[start + i] = x[start + i] * scale * gain[i];
        }
      }`,
  };
}
