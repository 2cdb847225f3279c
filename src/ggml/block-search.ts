import { wasm } from '#block-search';
import { openKernel } from '../tensor/index.js';

/** Groups of values that share a scale (and a minimum): `groups` runs of `count`, one after the other. */
export interface Groups {
  readonly count: number;
  readonly groups: number;
  /** Element `i` of group `g` is `values[valuesAt + g · count + i]`. */
  readonly values: Float32Array;
  readonly valuesAt: number;
  /** How much an error in each counts, from 0 on, in the same order. */
  readonly weights: Float32Array;
}

/** Which ways to round an affine search tries: `levels + first + i · step` steps over the range, i from 0 to `trials`. */
export interface AffineTrials {
  /** The largest code; the smallest is 0. */
  readonly levels: number;
  readonly first: number;
  readonly step: number;
  readonly trials: number;
  /** Minimise absolute errors in place of squared ones. */
  readonly absolute: boolean;
}

/** By group: value ≈ scale · code + min, with code = round(inverse · (value − offset)) in [0, levels]. */
export interface AffineFits {
  readonly scales: Float32Array;
  /** At most 0. */
  readonly mins: Float32Array;
  readonly inverses: Float32Array;
  readonly offsets: Float32Array;
}

/** By group: value ≈ scale · code, with code = round(inverse · value) in [−levels, levels). Both are 0 for a group of zeros. */
export interface SymmetricFits {
  readonly scales: Float32Array;
  readonly inverses: Float32Array;
}

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  affine(
    ...[x, w, codes, count, levels, first, step, trials, absolute, out]: [
      ...[number, number, number, number, number],
      ...[number, number, number, number, number],
    ]
  ): void;
  symmetric(x: number, w: number, count: number, levels: number, out: number): void;
}

/** Groups that are searched at once, and the most values that one may have. */
const LANES = 4;
const MAX_COUNT = 32;
/** Where things lie in the kernel's memory, in floats. */
const OUT = 0;
const VALUES = 4 * LANES;
const WEIGHTS = VALUES + LANES * MAX_COUNT;
const CODES = WEIGHTS + LANES * MAX_COUNT;

let kernel: Kernel | undefined;
let floats = new Float32Array(0);

function loaded(): Kernel {
  if (kernel === undefined) {
    kernel = openKernel<Kernel>(wasm);
    floats = new Float32Array(kernel.memory.buffer);
  }
  return kernel;
}

export function affineFits(groups: number): AffineFits {
  return {
    scales: new Float32Array(groups),
    mins: new Float32Array(groups),
    inverses: new Float32Array(groups),
    offsets: new Float32Array(groups),
  };
}

export function symmetricFits(groups: number): SymmetricFits {
  return { scales: new Float32Array(groups), inverses: new Float32Array(groups) };
}

/**
 * Writes, for each group, the scale and minimum that minimise the weighted error among the least-squares solutions of the trials'
 * roundings. Source of the arithmetic: block-search.wat.
 */
export function searchAffine(groups: Groups, trials: AffineTrials, fits: AffineFits): void {
  const { affine } = loaded();
  const { levels, first, step, trials: last, absolute } = trials;
  for (let group = 0; group < groups.groups; group += LANES) {
    place(groups, group);
    const places = [4 * VALUES, 4 * WEIGHTS, 4 * CODES] as const;
    affine(...places, groups.count, levels, first, step, last, absolute ? 1 : 0, OUT);
    for (let lane = 0; lane < LANES && group + lane < groups.groups; lane += 1) {
      fits.scales[group + lane] = floats[lane]!;
      fits.mins[group + lane] = floats[LANES + lane]!;
      fits.inverses[group + lane] = floats[2 * LANES + lane]!;
      fits.offsets[group + lane] = floats[3 * LANES + lane]!;
    }
  }
}

/**
 * Writes, for each group, the scale that minimises the weighted squared error among the least-squares scales of 19 roundings: of
 * `levels − 0.9` to `levels + 0.9` steps up to the value of largest magnitude. Source of the arithmetic: block-search.wat.
 */
export function searchSymmetric(groups: Groups, levels: number, fits: SymmetricFits): void {
  const { symmetric } = loaded();
  for (let group = 0; group < groups.groups; group += LANES) {
    place(groups, group);
    symmetric(4 * VALUES, 4 * WEIGHTS, groups.count, levels, OUT);
    for (let lane = 0; lane < LANES && group + lane < groups.groups; lane += 1) {
      fits.scales[group + lane] = floats[lane]!;
      fits.inverses[group + lane] = floats[LANES + lane]!;
    }
  }
}

/** Puts four groups side by side, a lane each; zeros where there are fewer. */
function place({ count, groups, values, valuesAt, weights }: Groups, first: number): void {
  for (let lane = 0; lane < LANES; lane += 1) {
    const isThere = first + lane < groups;
    const at = (first + lane) * count;
    for (let i = 0; i < count; i += 1) {
      floats[VALUES + LANES * i + lane] = isThere ? values[valuesAt + at + i]! : 0;
      floats[WEIGHTS + LANES * i + lane] = isThere ? weights[at + i]! : 0;
    }
  }
}
