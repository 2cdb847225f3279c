import { laneJob, PLACE } from './entry-point.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';

const LANES = 64;

/** Bits of a code that fill a word of 32 without a rest. */
const PACKED_BITS: readonly number[] = [2, 4, 8];

/**
 * What packed codes stand for: words [rows, columns · bits / 32] int32, the lowest bits first, scales and zero points [rows, groups] and
 * the attributes `columns`, `group` and `bits` → (code − zero) · scale [rows, columns], exact before it is rounded once.
 *
 * Floor: bits / 8 bytes read and 4 written a value: memory decides.
 */
export const unpackGroupsKernel: WgslKernel = {
  operation: 'birdbone.UnpackGroups',
  fits: ({ attributes }) => PACKED_BITS.includes(Number(attributes['bits'])),
  run({ inputs, attributes }, gpu) {
    const { words, scales, zeros } = inputs as Record<'words' | 'scales' | 'zeros', (typeof inputs)[string]>;
    const [rows, wordsPerRow] = words.shape as [number, number];
    const [columns, size, bits] = ['columns', 'group', 'bits'].map((name) => Number(attributes[name])) as [
      number,
      number,
      number,
    ];
    const values = gpu.create([rows, columns]);
    const elements = rows * columns;
    gpu.run(program, {
      inputs: { words, scales, zeros },
      outputs: { values },
      uniforms: { elements, columns, size, perRow: Math.ceil(columns / size), bits, wordsPerRow },
      workgroups: foldWorkgroups(Math.ceil(elements / LANES), gpu.limits),
    });
    return values;
  },
};

const program: Program = {
  name: 'unpack-groups',
  inputs: { words: 'u32', scales: 'f32', zeros: 'f32' },
  outputs: { values: 'f32' },
  uniforms: { elements: 'u32', columns: 'u32', size: 'u32', perRow: 'u32', bits: 'u32', wordsPerRow: 'u32' },
  code: () => `
    @compute @workgroup_size(${LANES})
    fn main(${PLACE}) {
      ${laneJob('i', 'u.elements', LANES)}
      let row = i / u.columns;
      let column = i % u.columns;
      let perWord = 32u / u.bits;
      let code = extractBits(words[row * u.wordsPerRow + column / perWord], (column % perWord) * u.bits, u.bits);
      let place = row * u.perRow + column / u.size;
      values[i] = (f32(code) - zeros[place]) * scales[place];
    }`,
};
