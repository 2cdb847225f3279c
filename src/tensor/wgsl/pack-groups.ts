import { HALF_BITS } from './half-bits.js';
import type { WgslKernel } from './kernel.js';
import { foldWorkgroups } from './kernel.js';
import type { Program } from './program.js';

/** A group's lanes: groups are 32 to 256 values long, and each lane packs one word or none. */
const LANES = 64;

/** Bits of a code that fill a word of 32 without a rest. */
const PACKED_BITS: readonly number[] = [2, 4, 8];

/**
 * Round-to-nearest by groups and packing, in one pass: values [rows, columns], the attributes `group` (a multiple of the codes in a
 * word) and `bits` → words [rows, ⌈columns · bits / 32⌉] int32, the lowest bits first, and scales [rows, groups], which are half
 * precision: the largest magnitude over (2^bits − 1) / 2, 2^-10 where that is 0, infinite where it is beyond half precision or a value
 * is not finite.
 *
 * Codes and scales are those of quantization/ to the last bit: a quotient is only a guess, which products decide that are exact, as
 * they have 11 digits of a scale and 9 of a code.
 *
 * Floor: 4 bytes read and bits / 8 written a value: memory decides.
 */
export const packGroupsKernel: WgslKernel = {
  operation: 'birdbone.PackGroups',
  fits: ({ attributes }) =>
    PACKED_BITS.includes(Number(attributes['bits'])) &&
    (Number(attributes['group']) * Number(attributes['bits'])) % 32 === 0,
  run({ inputs, attributes }, gpu) {
    const values = inputs['values']!;
    const [rows, columns] = values.shape as [number, number];
    const [group, bits] = [Number(attributes['group']), Number(attributes['bits'])];
    const perRow = Math.ceil(columns / group);
    const words = gpu.create([rows, Math.ceil((columns * bits) / 32)], 'int32');
    const scales = gpu.create([rows, perRow]);
    gpu.run(packProgram, {
      inputs: { values },
      outputs: { words, scales },
      uniforms: { groups: rows * perRow, columns, size: group, perRow, bits, wordsPerRow: words.shape[1]! },
      workgroups: foldWorkgroups(rows * perRow, gpu.limits),
    });
    return [words, scales];
  },
};

const packProgram: Program = {
  name: 'pack-groups',
  inputs: { values: 'f32' },
  outputs: { words: 'u32', scales: 'u32' },
  uniforms: { groups: 'u32', columns: 'u32', size: 'u32', perRow: 'u32', bits: 'u32', wordsPerRow: 'u32' },
  code: () => `
    ${HALF_BITS}
    var<workgroup> largest: atomic<u32>;

    // The half nearest to most / top, ties to even: most against top times the middles between neighbours.
    fn scaleCode(most: f32, top: f32) -> u32 {
      var code = min(halfBits(most / top), 0x7c00u);
      for (; code < 0x7c00u; code++) {
        let middle = top * (0.5 * (halfValue(code) + halfValue(code + 1u)));
        if (most < middle || (most == middle && (code & 1u) == 0u)) { break; }
      }
      for (; code > 0u; code--) {
        let middle = top * (0.5 * (halfValue(code - 1u) + halfValue(code)));
        if (most > middle || (most == middle && (code & 1u) == 0u)) { break; }
      }
      return code;
    }

    // The whole number nearest to value / scale, ties to even.
    fn nearest(value: f32, scale: f32) -> i32 {
      var k = round(value / scale);
      let above = (k + 0.5) * scale;
      let below = (k - 0.5) * scale;
      let odd = (i32(k) & 1) == 1;
      if (value > above || (value == above && odd)) { k += 1.0; }
      else if (value < below || (value == below && odd)) { k -= 1.0; }
      return i32(k);
    }

    @compute @workgroup_size(${LANES})
    fn main(
      @builtin(workgroup_id) group: vec3u,
      @builtin(num_workgroups) groups: vec3u,
      @builtin(local_invocation_index) lane: u32,
    ) {
      let index = group.x + group.y * groups.x;
      if (index >= u.groups) { return; }
      let row = index / u.perRow;
      let first = (index % u.perRow) * u.size;
      let count = min(u.size, u.columns - first);
      let start = row * u.columns + first;
      // Patterns of magnitudes order as the magnitudes do, and those that are not finite come last.
      var own = 0u;
      for (var i = lane; i < count; i += ${LANES}u) { own = max(own, bitcast<u32>(values[start + i]) & 0x7fffffffu); }
      atomicMax(&largest, own);
      workgroupBarrier();
      let most = atomicLoad(&largest);
      var scale = bitcast<f32>(0x3a800000u);
      var finite = most < 0x7f800000u;
      if (finite) {
        let code = scaleCode(bitcast<f32>(most), f32((1u << u.bits) - 1u) / 2.0);
        finite = code < 0x7c00u;
        if (code > 0u && finite) { scale = halfValue(code); }
      }
      if (lane == 0u) { scales[index] = select(0x7f800000u, bitcast<u32>(scale), finite); }
      if (!finite) { return; }
      let perWord = 32u / u.bits;
      let end = i32((1u << u.bits) - 1u);
      let center = i32(1u << (u.bits - 1u));
      for (var word = lane; word * perWord < count; word += ${LANES}u) {
        var packed = 0u;
        for (var i = 0u; i < min(perWord, count - word * perWord); i++) {
          let code = clamp(nearest(values[start + word * perWord + i], scale) + center, 0, end);
          packed |= u32(code) << (i * u.bits);
        }
        words[row * u.wordsPerRow + first / perWord + word] = packed;
      }
    }`,
};

/**
 * What packed codes stand for: words and scales as `birdbone.PackGroups` gives them, the attributes `columns`, `group`, `bits` →
 * (code − 2^(bits − 1)) · scale [rows, columns], exact before it is rounded once.
 *
 * Floor: bits / 8 bytes read and 4 written a value: memory decides.
 */
export const unpackGroupsKernel: WgslKernel = {
  operation: 'birdbone.UnpackGroups',
  fits: ({ attributes }) => PACKED_BITS.includes(Number(attributes['bits'])),
  run({ inputs, attributes }, gpu) {
    const { words, scales } = inputs as Record<'words' | 'scales', (typeof inputs)[string]>;
    const [rows, wordsPerRow] = words.shape as [number, number];
    const [columns, group, bits] = ['columns', 'group', 'bits'].map((name) => Number(attributes[name])) as [
      number,
      number,
      number,
    ];
    const values = gpu.create([rows, columns]);
    gpu.run(unpackProgram, {
      inputs: { words, scales },
      outputs: { values },
      uniforms: {
        elements: rows * columns,
        columns,
        size: group,
        perRow: Math.ceil(columns / group),
        bits,
        wordsPerRow,
      },
      workgroups: foldWorkgroups(Math.ceil((rows * columns) / LANES), gpu.limits),
    });
    return values;
  },
};

const unpackProgram: Program = {
  name: 'unpack-groups',
  inputs: { words: 'u32', scales: 'f32' },
  outputs: { values: 'f32' },
  uniforms: { elements: 'u32', columns: 'u32', size: 'u32', perRow: 'u32', bits: 'u32', wordsPerRow: 'u32' },
  code: () => `
    @compute @workgroup_size(${LANES})
    fn main(
      @builtin(workgroup_id) group: vec3u,
      @builtin(num_workgroups) groups: vec3u,
      @builtin(local_invocation_index) lane: u32,
    ) {
      let i = (group.x + group.y * groups.x) * ${LANES}u + lane;
      if (i >= u.elements) { return; }
      let row = i / u.columns;
      let column = i % u.columns;
      let perWord = 32u / u.bits;
      let word = words[row * u.wordsPerRow + column / perWord];
      let code = extractBits(word, (column % perWord) * u.bits, u.bits);
      values[i] = f32(i32(code) - i32(1u << (u.bits - 1u))) * scales[row * u.perRow + column / u.size];
    }`,
};
