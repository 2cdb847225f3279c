import type { NamedAttrMap } from '@tensorflow/tfjs-core';

/** An operand or a result; an Int32Array is an int32 tensor. */
export interface Operand {
  readonly data: Float32Array | Int32Array;
  readonly shape: readonly number[];
}

/** One call of an operation, and what it must give. */
export interface KernelCase {
  readonly name: string;
  readonly inputs: Readonly<Record<string, Operand>>;
  readonly attributes?: NamedAttrMap;
  /**
   * The results in float64, from the operation's definition: a loop of its own in the test, a closed form, or figures that another
   * program gave. Never the kernel's own code in other words.
   */
  readonly expected: () => readonly Expected[];
}

export interface Expected {
  /** Undefined where any value will do. */
  readonly data: ArrayLike<number | undefined>;
  readonly shape: readonly number[];
  /** Largest difference that may be, relative to max(1, the largest magnitude of the result); 0 demands every bit. */
  readonly tolerance: number;
}

/** The calls that one kernel is held to: odd shapes, one of everything, more than one workgroup, ends that no tile divides. */
export interface KernelCases {
  readonly operation: string;
  readonly cases: readonly KernelCase[];
}

/** mulberry32 in (−1, 1): the same values at every run. */
export function random(shape: readonly number[], seed: number): Operand & { readonly data: Float32Array } {
  let state = seed;
  const count = shape.reduce((product, side) => product * side, 1);
  const data = Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
  return { data, shape };
}
