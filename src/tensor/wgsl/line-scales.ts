import type { TensorInfo } from '@tensorflow/tfjs-core';
import { PLACE, workgroupJob } from './entry-point.js';
import { foldWorkgroups, type Gpu } from './kernel.js';
import { bindingOf, type Operand, quadFunction, WIDEN_FUNCTIONS } from './operand.js';
import type { Program } from './program.js';

const LANES = 64;

/**
 * For each line of an operand the power of two that brings its largest magnitude to [2^13, 2^14): what f16 holds with room for
 * rounding, and so that values 2^-28 of the largest still keep all 11 bits. 1 for a line of zeros, NaN for one that has a value that
 * is not finite: its products are then NaN, which whoever reads them sees.
 */
function lineScales(operand: Operand): Program {
  return {
    name: `line-scales ${operand.format} ${operand.aligned ? 4 : 1}`,
    inputs: { x: bindingOf(operand) },
    outputs: { scales: 'u32' },
    uniforms: { lines: 'u32', depth: 'u32' },
    code: () => /* wgsl */ `
    ${WIDEN_FUNCTIONS}
    ${quadFunction('x', operand, 'u.lines', 'u.depth')}
    var<workgroup> largest: array<u32, ${LANES}>;

    @compute @workgroup_size(${LANES})
    fn main(${PLACE}) {
      ${workgroupJob('line', 'u.lines')}
      // Magnitudes of floats are in the order of their bits, infinity and NaN above all others.
      var most = vec4u();
      for (var at = lane * 4u; at < u.depth; at += ${4 * LANES}u) {
        most = max(most, bitcast<vec4u>(x_quad(0u, line, at)) & vec4u(0x7fffffffu));
      }
      largest[lane] = max(max(most.x, most.y), max(most.z, most.w));
      workgroupBarrier();
      for (var half = ${LANES / 2}u; half > 0u; half /= 2u) {
        if (lane < half) { largest[lane] = max(largest[lane], largest[lane + half]); }
        workgroupBarrier();
      }
      if (lane == 0u) {
        let exponent = largest[0] >> 23u;
        let power = clamp(267 - i32(exponent), 1, 253);
        var bits = u32(power) << 23u;
        if (exponent == 0u) { bits = 0x3f800000u; }
        if (exponent == 255u) { bits = 0x7fc00000u; }
        scales[line] = bits;
      }
    }`,
  };
}

/** The scales of an operand's lines, [lines] as bits of f32. Reads the operand once; the caller releases them. */
export function scalesOf(
  gpu: Gpu,
  x: TensorInfo,
  operand: Operand,
  sides: { lines: number; depth: number },
): TensorInfo {
  const scales = gpu.create([sides.lines], 'int32');
  gpu.run(lineScales(operand), {
    inputs: { x },
    outputs: { scales },
    uniforms: sides,
    workgroups: foldWorkgroups(sides.lines, gpu.limits),
  });
  return scales;
}
