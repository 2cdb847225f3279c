import { laneJob, PLACE } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';

const LANES = 256;

/**
 * `rotary`, one lane a pair: (i, i + w/2) of the w dimensions that are turned, two neighbours of those behind them.
 *
 * Floor: 8 bytes an element of x (read once, written once; the tables stay in cache) and 3 operations, so that memory decides.
 */
export const rotaryKernel: WgslKernel = {
  operation: 'birdbone.Rotary',
  fits: ({ inputs }) => inputs['x']!.shape[3]! % 2 === 0,
  run({ inputs }, gpu) {
    const { x, cos, sin } = inputs as Record<'x' | 'cos' | 'sin', (typeof inputs)[string]>;
    const [batch, heads, tokens, width] = x.shape as [number, number, number, number];
    const output = gpu.create(x.shape);
    const pairs = (batch * heads * tokens * width) / 2;
    gpu.run(program, {
      inputs: { x, cos, sin },
      outputs: { output },
      uniforms: { pairs, tokens, width, turned: cos.shape[1]! },
      workgroups: foldWorkgroups(Math.ceil(pairs / LANES), gpu.limits),
    });
    return output;
  },
};

/** The same where heads are wider than the tables. */
export const partialRotaryKernel: WgslKernel = { ...rotaryKernel, operation: 'birdbone.PartialRotary' };

const program: Program = {
  name: 'rotary',
  inputs: { x: 'f32', cos: 'f32', sin: 'f32' },
  outputs: { output: 'f32' },
  uniforms: { pairs: 'u32', tokens: 'u32', width: 'u32', turned: 'u32' },
  code: () => `
    @compute @workgroup_size(${LANES})
    fn main(${PLACE}) {
      ${laneJob('index', 'u.pairs', LANES)}
      let half = u.turned / 2u;
      let row = index / (u.width / 2u);
      let pair = index % (u.width / 2u);
      let start = row * u.width;
      if (pair >= half) {
        let first = start + 2u * pair;
        output[first] = x[first];
        output[first + 1u] = x[first + 1u];
        return;
      }
      let angles = (row % u.tokens) * u.turned + pair;
      let a = x[start + pair];
      let b = x[start + pair + half];
      output[start + pair] = a * cos[angles] - b * sin[angles];
      // The tables' halves may differ: the gradient of a turn exchanges those of the sines.
      output[start + pair + half] = b * cos[angles + half] + a * sin[angles + half];
    }`,
};
