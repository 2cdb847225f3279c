import type { TensorInfo } from '@tensorflow/tfjs-core';
import { laneJob, PLACE } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import { WIDEN_FUNCTIONS } from './operand.js';
import type { Program } from './program.js';

const THREADS = 256;

const widen = (format: 'bf16' | 'f16'): Program => ({
  name: `widen ${format}`,
  inputs: { words: 'u32' },
  outputs: { values: 'f32' },
  uniforms: { rows: 'u32', columns: 'u32' },
  code: () => /* wgsl */ `
    ${WIDEN_FUNCTIONS}
    @compute @workgroup_size(${THREADS})
    fn main(${PLACE}) {
      let stride = (u.columns + 1u) / 2u;
      ${laneJob('index', 'u.rows * stride', THREADS)}
      let pair = widen_${format}(words[index]);
      let column = index % stride * 2u;
      let start = index / stride * u.columns + column;
      values[start] = pair.x;
      if (column + 1u < u.columns) { values[start + 1u] = pair.y; }
    }`,
});

/** `widenStored` (ops/stored-product.ts): 16-bit floats to f32, exactly. Reads 2 and writes 4 bytes an element, its floor. */
export const widenKernel: WgslKernel = {
  operation: 'birdbone.Widen',
  run({ inputs, attributes }, gpu) {
    const { words } = inputs as { words: TensorInfo };
    const { format, columns } = attributes as { format: 'bf16' | 'f16'; columns: number };
    const [rows, stride] = words.shape as [number, number];
    const values = gpu.create([rows, columns]);
    gpu.run(widen(format), {
      inputs: { words },
      outputs: { values },
      uniforms: { rows, columns },
      workgroups: foldWorkgroups(Math.ceil((rows * stride) / THREADS), gpu.limits),
    });
    return values;
  },
};
