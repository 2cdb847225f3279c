import type { EncodableDtype } from '../../src/ggml/index.js';
import { decodeToF32, encodeFromF32 } from '../../src/tensor/index.js';

/**
 * What each block type can hold, and a plain search for it in float64: every group by itself, 41 roundings around the obvious one, the
 * least-squares scale (and minimum) of each, the least weighted error wins. Then scales are rounded as the type stores them, and each
 * value goes to the nearest code. It shares no code and no order of operations with src/ggml/.
 */
interface Form {
  readonly block: number;
  readonly group: number;
  /** Codes in [low, high]; `minimum`: a minimum of the group is subtracted. */
  readonly low: number;
  readonly high: number;
  readonly minimum: boolean;
  /** The largest code of a group's scale; absent where scales are halves themselves. */
  readonly scaleLevels?: number;
  readonly weight: (x: number, rootMeanSquare: number) => number;
  /** What is minimised: squared errors unless ggml minimises absolute ones. */
  readonly cost?: (error: number) => number;
  /** Blocks of 32 are not searched for: the extreme value decides. */
  readonly searched: boolean;
}

const squared = (x: number) => x * x;
const shifted = (x: number, rootMeanSquare: number) => Math.abs(x) + rootMeanSquare;
const simple = { block: 32, group: 32, weight: () => 1, searched: false };
const FORMS: Readonly<Record<EncodableDtype, Form>> = {
  Q8_0: { ...simple, low: -127, high: 127, minimum: false },
  Q4_0: { ...simple, low: -8, high: 7, minimum: false },
  Q5_0: { ...simple, low: -16, high: 15, minimum: false },
  Q4_1: { ...simple, low: 0, high: 15, minimum: true },
  Q5_1: { ...simple, low: 0, high: 31, minimum: true },
  Q6_K: {
    block: 256,
    group: 16,
    low: -32,
    high: 31,
    minimum: false,
    scaleLevels: 128,
    weight: squared,
    searched: true,
  },
  Q3_K: { block: 256, group: 16, low: -4, high: 3, minimum: false, scaleLevels: 32, weight: squared, searched: true },
  Q5_K: { block: 256, group: 32, low: 0, high: 31, minimum: true, scaleLevels: 63, weight: shifted, searched: true },
  Q4_K: { block: 256, group: 32, low: 0, high: 15, minimum: true, scaleLevels: 63, weight: shifted, searched: true },
  Q2_K: {
    block: 256,
    group: 16,
    low: 0,
    high: 3,
    minimum: true,
    scaleLevels: 15,
    weight: Math.abs,
    cost: Math.abs,
    searched: true,
  },
};

const half = (x: number) => decodeToF32(encodeFromF32(Float32Array.of(x), 'F16'), 'F16')[0]!;

interface Fit {
  readonly scale: number;
  readonly min: number;
}

/** The values that a type holds in place of these, whose number is a multiple of the type's block. */
export function referenceValues(dtype: EncodableDtype, values: Float32Array): Float64Array {
  const form = FORMS[dtype];
  const result = new Float64Array(values.length);
  for (let block = 0; block < values.length; block += form.block) {
    const groups = Array.from({ length: form.block / form.group }, (_, i) => {
      const at = block + i * form.group;
      return [...values.subarray(at, at + form.group)];
    });
    const fits = stored(
      form,
      groups.map((group) => fitOf(form, group)),
    );
    for (const [i, group] of groups.entries()) {
      for (const [j, x] of group.entries()) result[block + i * form.group + j] = nearest(form, fits[i]!, x);
    }
  }
  return result;
}

function nearest({ low, high }: Form, { scale, min }: Fit, x: number): number {
  if (scale === 0) return min;
  return scale * Math.min(high, Math.max(low, Math.round((x - min) / scale))) + min;
}

function fitOf(form: Form, group: readonly number[]): Fit {
  const { low, high, minimum } = form;
  const extreme = group.reduce((most, x) => (Math.abs(x) > Math.abs(most) ? x : most), 0);
  const least = Math.min(...group, form.searched ? 0 : Infinity);
  const most = Math.max(...group);
  if (extreme === 0 || (minimum && most === least)) return { scale: 0, min: minimum ? least : 0 };
  const plain = minimum
    ? { scale: (most - least) / high, min: least }
    : { scale: extreme / (low === -high ? high : low), min: 0 };
  return form.searched ? searched(form, group, plain) : plain;
}

function searched(form: Form, group: readonly number[], plain: Fit): Fit {
  const rootMeanSquare = Math.sqrt(group.reduce((sum, x) => sum + x * x, 0) / group.length);
  const weights = group.map((x) => form.weight(x, rootMeanSquare));
  const cost = form.cost ?? squared;
  const error = (fit: Fit) => group.reduce((sum, x, i) => sum + weights[i]! * cost(nearest(form, fit, x) - x), 0);
  let best = plain;
  for (let trial = -20; trial <= 20; trial += 1) {
    const steps = form.minimum ? form.high : -form.low;
    const rounded = { scale: (plain.scale * steps) / (steps + 0.05 * trial), min: plain.min };
    const codes = group.map((x) =>
      Math.min(form.high, Math.max(form.low, Math.round((x - rounded.min) / rounded.scale))),
    );
    const fit = leastSquares(codes, group, { weights, minimum: form.minimum });
    if (Number.isFinite(fit.scale) && error(fit) < error(best)) best = fit;
  }
  return best;
}

function leastSquares(
  codes: readonly number[],
  group: readonly number[],
  { weights, minimum }: { readonly weights: readonly number[]; readonly minimum: boolean },
): Fit {
  const sum = (term: (i: number) => number) => codes.reduce((total, _, i) => total + weights[i]! * term(i), 0);
  const [w, q, x] = [sum(() => 1), sum((i) => codes[i]!), sum((i) => group[i]!)];
  const [qq, qx] = [sum((i) => codes[i]! ** 2), sum((i) => codes[i]! * group[i]!)];
  const throughZero = { scale: qx / qq, min: 0 };
  if (!minimum) return throughZero;
  const determinant = w * qq - q * q;
  const fit = { scale: (w * qx - q * x) / determinant, min: (qq * x - q * qx) / determinant };
  return fit.min > 0 ? throughZero : fit;
}

/** Scales and minima as a block stores them: halves, or codes of few bits in units of a half. */
function stored({ scaleLevels, minimum }: Form, fits: readonly Fit[]): Fit[] {
  if (scaleLevels === undefined) return fits.map(({ scale, min }) => ({ scale: half(scale), min: half(min) }));
  const unitOf = (numbers: readonly number[]) => {
    const extreme = numbers.reduce((most, x) => (Math.abs(x) > Math.abs(most) ? x : most), 0);
    return half(extreme / scaleLevels);
  };
  const scaleUnit = unitOf(fits.map(({ scale }) => scale));
  const minUnit = unitOf(fits.map(({ min }) => min));
  const code = (x: number, unit: number) => (unit === 0 ? 0 : Math.round(x / unit) * unit);
  return fits.map(({ scale, min }) => ({ scale: code(scale, scaleUnit), min: minimum ? code(min, minUnit) : 0 }));
}
