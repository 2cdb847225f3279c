import type { ElementType } from './program.js';

/**
 * How an operand of a product lies in memory. Its lines are what the product's rows (left operand) or columns (right operand)
 * are made of; along its depth products are summed.
 */
export interface Operand {
  /** What of it is contiguous: [lines, depth] or [depth, lines], row-major. */
  readonly order: 'line-by-line' | 'depth-by-depth';
  /**
   * `f32`; or 16-bit floats, two to a word, the first in the low half, each line at a word of its own (packed-weights.ts). Those
   * lie line by line.
   */
  readonly format: 'f32' | 'bf16' | 'f16';
  /** Whether four neighbours start at an address that a vector may be read from; of 16-bit floats, whether lines are whole pairs of words. */
  readonly aligned: boolean;
}

/** Elements of the array that the operand is bound as. */
export function bindingOf({ format, aligned }: Operand): ElementType {
  if (format === 'f32') return aligned ? 'vec4f' : 'f32';
  return aligned ? 'vec2u' : 'u32';
}

/** What tells apart the code of operands that lie differently: "lf4", "db1". */
export function operandKey({ order, format, aligned }: Operand): string {
  return `${order[0]}-${format}-${aligned ? 4 : 1}`;
}

/**
 * WGSL's `fn <name>_quad(base, line, depth) -> vec4f`: four neighbours along what is contiguous, from (line, depth) on; zero where
 * one is outside [0, lines) x [0, depths). `base` counts elements. 16-bit floats become f32 exactly, subnormal ones too.
 */
export function quadFunction(name: string, operand: Operand, lines: string, depths: string): string {
  const [step, end, at] =
    operand.order === 'line-by-line' ? [`${depths}`, depths, 'depth'] : [`${lines}`, lines, 'line'];
  const start = operand.order === 'line-by-line' ? `base + line * ${step} + depth` : `base + depth * ${step} + line`;
  const body =
    operand.format === 'f32' ? floatQuad(name, operand, { start, at, end }) : halfQuad(name, operand, depths);
  return `
    fn ${name}_quad(base: u32, line: u32, depth: u32) -> vec4f {
      if (line >= ${lines} || depth >= ${depths}) { return vec4f(); }
      ${body}
    }`;
}

function floatQuad(
  name: string,
  { aligned }: Operand,
  { start, at, end }: { readonly start: string; readonly at: string; readonly end: string },
): string {
  if (aligned) return `return ${name}[(${start}) / 4u];`;
  return `
      let start = ${start};
      let left = ${end} - ${at};
      var quad = vec4f(${name}[start], 0, 0, 0);
      if (left > 1u) { quad.y = ${name}[start + 1u]; }
      if (left > 2u) { quad.z = ${name}[start + 2u]; }
      if (left > 3u) { quad.w = ${name}[start + 3u]; }
      return quad;`;
}

/** The second half of an odd line's last word is zero: `packed-weights.ts` writes it so. */
function halfQuad(name: string, { format, aligned }: Operand, depths: string): string {
  const widen = `widen_${format}`;
  if (aligned) {
    return `
      let words = ${name}[base / 4u + line * ((${depths} + 3u) / 4u) + depth / 4u];
      return vec4f(${widen}(words.x), ${widen}(words.y));`;
  }
  return `
      let stride = (${depths} + 1u) / 2u;
      let start = base / 2u + line * stride + depth / 2u;
      let low = ${widen}(${name}[start]);
      if (depth + 2u >= ${depths}) { return vec4f(low, 0, 0); }
      return vec4f(low, ${widen}(${name}[start + 1u]));`;
}

/**
 * `widen_bf16` and `widen_f16`, each from a word to vec2f. By integers alone: a GPU may take subnormal f16 for zero where it
 * converts by itself.
 */
export const WIDEN_FUNCTIONS = /* wgsl */ `
    fn widen_bf16(word: u32) -> vec2f {
      return vec2f(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
    }
    fn widen_one_f16(half: u32) -> f32 {
      let magnitude = half & 0x7fffu;
      // Exponents move by 127 - 15; infinities and NaN as far again. Below 2^-14 the fraction counts steps of 2^-24.
      let offset = select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
      let normal = bitcast<f32>((magnitude << 13u) + offset);
      let value = select(f32(magnitude) * 0x1p-24f, normal, magnitude >= 0x400u);
      return select(value, -value, half >= 0x8000u);
    }
    fn widen_f16(word: u32) -> vec2f {
      return vec2f(widen_one_f16(word & 0xffffu), widen_one_f16(word >> 16u));
    }`;
