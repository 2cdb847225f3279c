import type { NestedScales, Scales } from './quantized-matrix.js';

/** Scales that share an absmax (QLoRA, section 3; bitsandbytes `quantize_4bit`). */
export const NESTED_GROUP = 256;

/** Positive scales as codes of 8 bits, and the values that these stand for. */
export function nestScales(exact: Float32Array, shape: readonly [number, number]): Scales {
  let sum = 0;
  for (const scale of exact) sum += scale;
  const offset = Math.fround(exact.length === 0 ? 0 : sum / exact.length);
  const codes = new Uint8Array(exact.length);
  const absmax = new Float32Array(Math.ceil(exact.length / NESTED_GROUP));
  for (let group = 0; group < absmax.length; group += 1) {
    const end = Math.min((group + 1) * NESTED_GROUP, exact.length);
    let largest = 0;
    for (let i = group * NESTED_GROUP; i < end; i += 1)
      largest = Math.max(largest, Math.abs(Math.fround(exact[i]! - offset)));
    absmax[group] = largest;
    if (largest === 0) codes.fill(ZERO_CODE, group * NESTED_GROUP, end);
    else {
      for (let i = group * NESTED_GROUP; i < end; i += 1) {
        codes[i] = nearestCode(Math.fround(Math.fround(exact[i]! - offset) / largest));
      }
    }
  }
  const nested = { codes, absmax, offset };
  return { shape, values: nestedValues(nested, 0, codes.length), nested };
}

/** What scales `first` to `first + count` stand for; `codes` are theirs alone. */
export function nestedValues({ codes, absmax, offset }: NestedScales, first: number, count: number): Float32Array {
  const levels = dynamicLevels();
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 1) {
    const value = Math.fround(levels[codes[i]!]! * absmax[Math.floor((first + i) / NESTED_GROUP)]!) + offset;
    values[i] = value;
  }
  return values;
}

/** The code of the dynamic type that stands for 0. */
const ZERO_CODE = 127;

let levelTable: Float32Array | undefined;

/**
 * The 256 levels of the signed dynamic type: seven decades, each with twice the levels of the one below, 0 and 1. Source: Dettmers
 * 2016, "8-Bit Approximations for Parallelism in Deep Learning"; bitsandbytes, `create_dynamic_map`.
 */
export function dynamicLevels(): Float32Array {
  levelTable ??= makeLevels();
  return levelTable;
}

/** In the steps of float32 that PyTorch's `linspace` takes, so that the table is bitsandbytes' own to the last bit. */
function makeLevels(): Float32Array {
  const first = Math.fround(0.1);
  const positive: number[] = [];
  for (let decade = 0; decade < 7; decade += 1) {
    const count = 2 ** decade;
    const step = Math.fround((1 - first) / count);
    const border = (i: number) => Math.fround(2 * i < count ? first + step * i : 1 - step * (count - i));
    for (let i = 0; i < count; i += 1) {
      const middle = Math.fround(Math.fround(border(i) + border(i + 1)) / 2);
      positive.push(Math.fround(Math.fround(10 ** (decade - 6)) * middle));
    }
  }
  return Float32Array.from([...positive.map((level) => -level), 0, ...positive, 1]).sort();
}

/** The nearest of the sorted levels; of two equally near the lower. */
function nearestCode(value: number): number {
  const levels = dynamicLevels();
  let [low, high] = [0, levels.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (levels[middle]! <= value) low = middle;
    else high = middle;
  }
  return value - levels[low]! <= levels[high]! - value ? low : high;
}
