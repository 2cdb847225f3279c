import { PLACE, workgroupJob } from './entry-point.js';
import { HALF_BITS } from './half-bits.js';
import { foldWorkgroups, type WgslKernel } from './kernel.js';
import type { Program } from './program.js';

/** Values of a super-block, and words of 32 bits that it is stored in. */
const SUPER_BLOCK = 256;
const BLOCK_WORDS = 36;

/** A lane for each sub-block of 32 values: eight super-blocks a workgroup. */
const LANES = 64;
const SUB_BLOCKS = 8;
const SUB_BLOCK = 32;
const PITCH = SUB_BLOCK + 1;
/** Ways to round that are tried. */
const TRIALS = 21;

/**
 * ggml's Q4_K: values [rows, columns], columns a multiple of 256 → words [rows, columns / 256 · 36] int32, the blocks' bytes. Scales
 * and minima of sub-blocks are searched as ggml searches them without an importance matrix (`make_qkx2_quants`: 21 roundings, each
 * with its weighted least squares), in single precision. Quotients of a GPU are right to some bits only, so that where two trials err
 * alike another one may win than on the host: nearly all bytes are the same.
 *
 * Floor: some 600 operations a value over 4.6 bytes: arithmetic decides.
 */
export const encodeQ4kKernel: WgslKernel = {
  operation: 'birdbone.EncodeQ4K',
  fits: ({ inputs }) => inputs['values']!.shape[1]! % SUPER_BLOCK === 0,
  run({ inputs }, gpu) {
    const values = inputs['values']!;
    const [rows, columns] = values.shape as [number, number];
    const blocks = (rows * columns) / SUPER_BLOCK;
    const words = gpu.create([rows, (columns / SUPER_BLOCK) * BLOCK_WORDS], 'int32');
    gpu.run(program, {
      inputs: { values },
      outputs: { words },
      uniforms: { blocks, count: SUB_BLOCK, trials: TRIALS },
      workgroups: foldWorkgroups(Math.ceil(blocks / (LANES / SUB_BLOCKS)), gpu.limits),
    });
    return words;
  },
};

const program: Program = {
  name: 'encode-q4k',
  inputs: { values: 'f32' },
  outputs: { words: 'u32' },
  // Lengths of loops as numbers: compilers unroll what is written out, and this a thousandfold.
  uniforms: { blocks: 'u32', count: 'u32', trials: 'u32' },
  code: () => `
    ${HALF_BITS}
    var<workgroup> scales: array<f32, ${LANES}>;
    var<workgroup> minima: array<f32, ${LANES}>;
    var<workgroup> scaleCodes: array<u32, ${LANES}>;
    var<workgroup> minimumCodes: array<u32, ${LANES}>;
    var<workgroup> codes: array<u32, ${LANES * 4}>;

    // A sub-block's values, one place further for each lane, so that lanes side by side read different banks.
    var<workgroup> x: array<f32, ${LANES * PITCH}>;

    struct Fit { scale: f32, minimum: f32 }

    // Source: ggml-quants.c, make_qkx2_quants with nmax = 15, rmin = −1, rdelta = 0.1, nstep = 20.
    fn search(at: u32) -> Fit {
      var squares = 0.0;
      var low = x[at];
      var high = x[at];
      for (var i = 0u; i < u.count; i++) {
        squares += x[at + i] * x[at + i];
        low = min(low, x[at + i]);
        high = max(high, x[at + i]);
      }
      low = min(low, 0.0);
      if (high <= low) { return Fit(0.0, -low); }
      let share = sqrt(squares / 32.0);
      var sumW = 0.0;
      var sumX = 0.0;
      for (var i = 0u; i < u.count; i++) {
        let w = share + abs(x[at + i]);
        sumW += w;
        sumX += w * x[at + i];
      }
      var best = Fit((high - low) / 15.0, low);
      var least = errorOf(at, share, low, 15.0 / (high - low), best);
      for (var trial = 0u; trial < u.trials; trial++) {
        let inverse = (0.1 * f32(trial) - 1.0 + 15.0) / (high - low);
        var sumL = 0.0;
        var sumL2 = 0.0;
        var sumXL = 0.0;
        for (var i = 0u; i < u.count; i++) {
          let l = clamp(round(inverse * (x[at + i] - low)), 0.0, 15.0);
          let w = share + abs(x[at + i]);
          sumL += w * l;
          sumL2 += w * l * l;
          sumXL += w * l * x[at + i];
        }
        let determinant = sumW * sumL2 - sumL * sumL;
        if (determinant > 0.0) {
          var found = Fit((sumW * sumXL - sumX * sumL) / determinant, (sumL2 * sumX - sumL * sumXL) / determinant);
          if (found.minimum > 0.0) { found = Fit(sumXL / sumL2, 0.0); }
          let error = errorOf(at, share, low, inverse, found);
          // The next trial's range starts at the best minimum so far.
          if (error < least) { least = error; best = found; low = found.minimum; }
        }
      }
      return Fit(best.scale, -best.minimum);
    }

    fn errorOf(at: u32, share: f32, low: f32, inverse: f32, fit: Fit) -> f32 {
      var error = 0.0;
      for (var i = 0u; i < u.count; i++) {
        let l = clamp(round(inverse * (x[at + i] - low)), 0.0, 15.0);
        let difference = fit.scale * l + fit.minimum - x[at + i];
        error += (share + abs(x[at + i])) * difference * difference;
      }
      return error;
    }

    @compute @workgroup_size(${LANES})
    fn main(${PLACE}) {
      ${workgroupJob('firstBlock', 'u.blocks', LANES / SUB_BLOCKS)}
      let block = firstBlock + lane / ${SUB_BLOCKS}u;
      let there = block < u.blocks;
      let sub = lane % ${SUB_BLOCKS}u;
      let firstLane = lane - sub;
      let firstValue = firstBlock * ${SUPER_BLOCK}u;
      for (var i = lane; i < ${LANES * 32}u; i += ${LANES}u) {
        let place = firstValue + i;
        x[(i / 32u) * ${PITCH}u + i % 32u] = select(0.0, values[min(place, u.blocks * ${SUPER_BLOCK}u - 1u)], place < u.blocks * ${SUPER_BLOCK}u);
      }
      workgroupBarrier();
      let at = lane * ${PITCH}u;
      let fit = search(at);
      scales[lane] = fit.scale;
      minima[lane] = fit.minimum;
      workgroupBarrier();
      var mostScale = 0.0;
      var mostMinimum = 0.0;
      for (var i = 0u; i < ${SUB_BLOCKS}u; i++) {
        mostScale = max(mostScale, scales[firstLane + i]);
        mostMinimum = max(mostMinimum, minima[firstLane + i]);
      }
      var scaleCode = 0.0;
      var minimumCode = 0.0;
      if (mostScale > 0.0) { scaleCode = clamp(round(63.0 / mostScale * fit.scale), 0.0, 63.0); }
      if (mostMinimum > 0.0) { minimumCode = clamp(round(63.0 / mostMinimum * fit.minimum), 0.0, 63.0); }
      let unit = halfBits(mostScale / 63.0);
      let minimumUnit = halfBits(mostMinimum / 63.0);
      let scale = halfValue(unit) * scaleCode;
      let minimum = halfValue(minimumUnit) * minimumCode;
      scaleCodes[lane] = u32(scaleCode);
      minimumCodes[lane] = u32(minimumCode);
      for (var quarter = 0u; quarter < 4u; quarter++) {
        var packed = 0u;
        for (var i = 0u; i < 8u; i++) {
          // Under a scale of 0 every code stands for the same number.
          var code = 0.0;
          if (scale > 0.0) { code = clamp(round((x[at + quarter * 8u + i] + minimum) / scale), 0.0, 15.0); }
          packed |= u32(code) << (4u * i);
        }
        codes[lane * 4u + quarter] = packed;
      }
      workgroupBarrier();
      if (!there) { return; }
      let out = block * ${BLOCK_WORDS}u;
      if (sub == 0u) {
        words[out] = unit | (minimumUnit << 16u);
        // 12 bytes: four whole scales with the next four's high bits above them, the same of minima, then low halves of both.
        var packed = array<u32, 3>(0u, 0u, 0u);
        for (var j = 0u; j < 4u; j++) {
          let s = firstLane + j;
          packed[0] |= (scaleCodes[s] | ((scaleCodes[s + 4u] >> 4u) << 6u)) << (8u * j);
          packed[1] |= (minimumCodes[s] | ((minimumCodes[s + 4u] >> 4u) << 6u)) << (8u * j);
          packed[2] |= ((scaleCodes[s + 4u] & 15u) | ((minimumCodes[s + 4u] & 15u) << 4u)) << (8u * j);
        }
        for (var j = 0u; j < 3u; j++) { words[out + 1u + j] = packed[j]; }
      }
      // 32 bytes hold one sub-block in their low halves and the next in their high ones: four words a lane.
      let pair = firstLane + (sub / 2u) * 2u;
      for (var i = 0u; i < 4u; i++) {
        let word = (sub % 2u) * 4u + i;
        var packed = 0u;
        for (var b = 0u; b < 4u; b++) {
          let place = word * 4u + b;
          let low = extractBits(codes[pair * 4u + place / 8u], 4u * (place % 8u), 4u);
          let high = extractBits(codes[(pair + 1u) * 4u + place / 8u], 4u * (place % 8u), 4u);
          packed |= (low | (high << 4u)) << (8u * b);
        }
        words[out + 4u + (sub / 2u) * 8u + word] = packed;
      }
    }`,
};
