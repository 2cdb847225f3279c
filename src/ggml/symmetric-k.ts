import { putPairs } from './affine-k-types.js';
import { searchSymmetric, symmetricFits } from './block-search.js';
import { descentSearch, GROUP_MAX_EPSILON } from './descent-search.js';
import type { GgmlEncoder, RowTarget } from './encoder.js';
import { nearestInt, putHalf } from './float32.js';
import { SUPER_BLOCK, weighErrors } from './k-blocks.js';

/** K-quants of 6 and 3 bits: 16 sub-blocks of 16 elements, each with a signed scale in units of d. */
const SUB_BLOCK = 16;
const SUB_BLOCKS = SUPER_BLOCK / SUB_BLOCK;

const f = Math.fround;
const fits = symmetricFits(SUB_BLOCKS);
const { scales } = fits;
const unitFit = symmetricFits(1);
const sums = new Float32Array(SUB_BLOCKS);
const scaleCodes = new Int8Array(SUB_BLOCKS);
const codes = new Uint8Array(SUPER_BLOCK);
const errorWeights = new Float32Array(SUPER_BLOCK);

/** Source: ggml-quants.c (`quantize_row_q6_K_ref`, `quantize_row_q6_K_impl`). Without weights, errors count by x². */
export const q6_k: GgmlEncoder = {
  dtype: 'Q6_K',
  encodeRow(row, weights, { bytes, at }) {
    for (let block = 0, out = at; block < row.length; block += SUPER_BLOCK, out += 210) {
      for (let i = 0; i < SUPER_BLOCK; i += 1) {
        errorWeights[i] = weights === undefined ? f(row[block + i]! * row[block + i]!) : weights[block + i]!;
      }
      searchSymmetric(groupsAt(row, block), 32, fits);
      const largest = extremeScale();
      if (Math.abs(largest) < GROUP_MAX_EPSILON) {
        bytes.fill(0, out, out + 210);
        continue;
      }
      const inverse = f(-128 / largest);
      const d = putHalf(bytes, out + 208, f(1 / inverse));
      for (let sub = 0; sub < SUB_BLOCKS; sub += 1) {
        scaleCodes[sub] = Math.min(127, nearestInt(f(inverse * scales[sub]!)));
        bytes[out + 192 + sub] = scaleCodes[sub]!;
      }
      requantize(row, block, { d, levels: 32, searched: fits.inverses });
      putSixBits({ bytes, at: out });
    }
  },
};

/** Four low bits in ql, two high ones in qh, quarter by quarter of each half: see `dequantizeQ6K`. */
function putSixBits({ bytes, at }: RowTarget): void {
  for (let half = 0; half < 2; half += 1) {
    const first = 128 * half;
    for (let i = 0; i < 32; i += 1) {
      const [a, b, c, d] = [codes[first + i]!, codes[first + i + 32]!, codes[first + i + 64]!, codes[first + i + 96]!];
      bytes[at + 64 * half + i] = (a & 15) | ((c & 15) << 4);
      bytes[at + 64 * half + i + 32] = (b & 15) | ((d & 15) << 4);
      bytes[at + 128 + 32 * half + i] = (a >>> 4) | ((b >>> 4) << 2) | ((c >>> 4) << 4) | ((d >>> 4) << 6);
    }
  }
}

/** Source: ggml-quants.c (`quantize_row_q3_K_ref`, `quantize_row_q3_K_impl`). */
export const q3_k: GgmlEncoder = {
  dtype: 'Q3_K',
  encodeRow(row, weights, { bytes, at }) {
    for (let block = 0, out = at; block < row.length; block += SUPER_BLOCK, out += 110) {
      const unit = weights === undefined ? fitByDescent(row, block) : fitByWeights(row, block, weights);
      const d = putHalf(bytes, out + 108, unit);
      putScales({ bytes, at: out + 96 });
      requantize(row, block, { d, levels: 4, ...(weights !== undefined && { searched: fits.inverses }) });
      putThirdBits({ bytes, at: out });
      putPairs({ bytes, at: out + 32 }, codes);
    }
  },
};

function fitByDescent(row: Float32Array, block: number): number {
  for (let sub = 0; sub < SUB_BLOCKS; sub += 1) {
    const found = codes.subarray(sub * SUB_BLOCK, (sub + 1) * SUB_BLOCK);
    scales[sub] = descentSearch(row, block + sub * SUB_BLOCK, 4, found);
  }
  const largest = extremeScale();
  if (largest === 0) {
    scaleCodes.fill(-32);
    return 0;
  }
  const inverse = f(-32 / largest);
  for (let sub = 0; sub < SUB_BLOCKS; sub += 1) {
    scaleCodes[sub] = Math.max(-32, Math.min(31, nearestInt(f(inverse * scales[sub]!))));
  }
  return f(1 / inverse);
}

function fitByWeights(row: Float32Array, block: number, weights: Float32Array): number {
  weighErrors(errorWeights, row, block, { weights, spreadFactor: 2 });
  for (let sub = 0; sub < SUB_BLOCKS; sub += 1) {
    let sum = 0;
    for (let i = sub * SUB_BLOCK; i < (sub + 1) * SUB_BLOCK; i += 1) sum = f(sum + errorWeights[i]!);
    sums[sub] = sum;
  }
  searchSymmetric(groupsAt(row, block), 4, fits);
  searchSymmetric({ count: SUB_BLOCKS, groups: 1, values: scales, valuesAt: 0, weights: sums }, 32, unitFit);
  const inverse = unitFit.inverses[0]!;
  for (let sub = 0; sub < SUB_BLOCKS; sub += 1) {
    // A block of zeros has the codes 0, that is −32.
    const code = inverse === 0 ? -32 : nearestInt(f(inverse * scales[sub]!));
    scaleCodes[sub] = Math.max(-32, Math.min(31, code));
  }
  return unitFit.scales[0]!;
}

function groupsAt(row: Float32Array, block: number) {
  return { count: SUB_BLOCK, groups: SUB_BLOCKS, values: row, valuesAt: block, weights: errorWeights };
}

/** The scale of largest magnitude, with its sign. */
function extremeScale(): number {
  let extreme = 0;
  for (const scale of scales) if (Math.abs(scale) > Math.abs(extreme)) extreme = scale;
  return extreme;
}

/**
 * The codes that the scales ask for as they are stored, plus `levels`. Where a scale rounds to 0 codes mean nothing, and stay what the
 * search found, as ggml has them: by these inverse scales, or as they are in `codes`.
 */
function requantize(
  row: Float32Array,
  block: number,
  { d, levels, searched }: { readonly d: number; readonly levels: number; readonly searched?: Float32Array },
): void {
  for (let sub = 0; sub < SUB_BLOCKS; sub += 1) {
    const scale = f(d * scaleCodes[sub]!);
    const inverse = searched?.[sub];
    if (scale === 0 && inverse === undefined) continue;
    for (let i = sub * SUB_BLOCK; i < (sub + 1) * SUB_BLOCK; i += 1) {
      const x = row[block + i]!;
      const code = nearestInt(scale === 0 ? f(inverse! * x) : f(x / scale));
      const isZeroGroup = scale === 0 && inverse === 0;
      codes[i] = isZeroGroup ? 0 : levels + Math.max(-levels, Math.min(levels - 1, code));
    }
  }
}

/** 6-bit scales from −32 on: low halves of 16 in 8 bytes, and two high bits each in 4 more. */
function putScales({ bytes, at }: RowTarget): void {
  for (let j = 0; j < 8; j += 1) {
    bytes[at + j] = ((scaleCodes[j]! + 32) & 15) | (((scaleCodes[j + 8]! + 32) & 15) << 4);
  }
  for (let j = 0; j < 4; j += 1) {
    let high = 0;
    for (let k = 0; k < 4; k += 1) high |= ((scaleCodes[j + 4 * k]! + 32) >>> 4) << (2 * k);
    bytes[at + 8 + j] = high;
  }
}

/** Bit j of byte i: the third bit of element 32 j + i. */
function putThirdBits({ bytes, at }: RowTarget): void {
  for (let i = 0; i < 32; i += 1) {
    let thirds = 0;
    for (let j = 0; j < 8; j += 1) thirds |= (codes[32 * j + i]! >>> 2) << j;
    bytes[at + i] = thirds;
  }
}
