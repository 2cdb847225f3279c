import { foldWorkgroups, type Gpu, type KernelCall, type WgslKernel } from './kernel.js';
import { SWEEP_LANES, SWEEP_ROWS, sweepProgram } from './sweep-program.js';

/**
 * One block of columns of SparseGPT: weights [rows, count], the factor's block upper [count, count], keep [rows, count] int32 (0: the
 * weight goes) → the weights corrected, and what they passed on, both [rows, count]. What goes becomes 0, what stays is as the
 * columns before left it.
 */
export const pruneBlockKernel: WgslKernel = {
  operation: 'birdbone.PruneBlock',
  fits: fitsLanes,
  run: (call, gpu) => sweep(pruneProgram, call, gpu),
};

/**
 * The same where each `group` of columns keeps the `kept` weights of the largest |w| / U[j, j] · bias[j] as corrected so far, among
 * those that `keep` lets stay: SparseGPT in N:M.
 */
export const chooseBlockKernel: WgslKernel = {
  operation: 'birdbone.ChooseBlock',
  fits: (call) => fitsLanes(call) && Number(call.attributes['group']) <= SWEEP_LANES,
  run: (call, gpu) =>
    sweep(chooseProgram, call, gpu, { size: Number(call.attributes['group']), kept: Number(call.attributes['kept']) }),
};

/**
 * One block of columns of GPTQ: besides, tiles [rows, groups, 2] of a scale and a zero each, and the group of each column, groupOf
 * [count] int32. What stays becomes (code − zero) · scale with the nearest code from 0 to the attribute `most`; what goes, 0. The
 * third result are the codes [rows, count] int32. With eight arrays it binds as many as every GPU takes.
 */
export const roundBlockKernel: WgslKernel = {
  operation: 'birdbone.RoundBlock',
  fits: fitsLanes,
  run({ inputs, attributes }, gpu) {
    const codes = gpu.create(inputs['weights']!.shape, 'int32');
    const uniforms = { groups: inputs['tiles']!.shape[1]!, most: Number(attributes['most']) };
    return [...sweep(roundProgram, { inputs, attributes }, gpu, uniforms, { codes }), codes];
  },
};

function fitsLanes({ inputs }: KernelCall): boolean {
  return inputs['weights']!.shape[1]! <= SWEEP_LANES;
}

function sweep(
  program: ReturnType<typeof sweepProgram>,
  { inputs }: KernelCall,
  gpu: Gpu,
  uniforms: Readonly<Record<string, number>> = {},
  outputs: KernelCall['inputs'] = {},
) {
  const [rows, count] = inputs['weights']!.shape as [number, number];
  const [result, errors] = [gpu.create([rows, count]), gpu.create([rows, count])];
  gpu.run(program, {
    inputs,
    outputs: { result, errors, ...outputs },
    uniforms: { rows, count, ...uniforms },
    workgroups: foldWorkgroups(Math.ceil(rows / SWEEP_ROWS), gpu.limits),
  });
  return [result, errors];
}

const KEEP_OR_GO = 'fn becomes(w: f32, row: u32, column: u32, stays: bool) -> f32 { return select(0.0, w, stays); }';

const pruneProgram = sweepProgram({
  name: 'prune-block',
  inputs: {},
  outputs: {},
  uniforms: {},
  becomes: KEEP_OR_GO,
  chooses: false,
});

const chooseProgram = sweepProgram({
  name: 'choose-block',
  inputs: { bias: 'f32' },
  outputs: {},
  uniforms: { size: 'u32', kept: 'u32' },
  becomes: KEEP_OR_GO,
  chooses: true,
});

const roundProgram = sweepProgram({
  name: 'round-block',
  inputs: { tiles: 'vec2f', groupOf: 'i32' },
  outputs: { codes: 'i32' },
  uniforms: { groups: 'u32', most: 'f32' },
  becomes: `
    fn becomes(w: f32, row: u32, column: u32, stays: bool) -> f32 {
      let tile = tiles[row * u.groups + u32(groupOf[column])];
      let code = clamp(round(select(0.0, w, stays) / tile.x) + tile.y, 0.0, u.most);
      codes[row * u.count + column] = i32(code);
      return (code - tile.y) * tile.x;
    }`,
  chooses: false,
});
