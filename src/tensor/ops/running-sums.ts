import {
  add,
  isFinite as areFinite,
  clone,
  dispose,
  keep,
  slice,
  sub,
  type Tensor,
  tidy,
  where,
  zerosLike,
} from '@tensorflow/tfjs-core';
import type { Device } from '../device.js';
import { runOperation } from '../kernels.js';

/** Two float32 numbers an element. */
const ELEMENT_BYTES = 8;

/** So many batches are added before the device is waited for: what waits to be computed, or to travel there, stays bounded. */
const BATCHES_AHEAD = 16;

/** Sums and, of the same shape, what their float32 leaves out. */
type Sums = readonly [high: Tensor, low: Tensor];

/**
 * Adds up tensors element by element where they are, in two float32 numbers an element; only totals travel. Of n terms t a total is
 *
 * |total − Σ t| ≤ u · |Σ t| + γ² · Σ |t|, u = 2^-24, γ = n · u / (1 − n · u),
 *
 * as if they were added up in twice the precision and rounded to float32 in the end: 4096 terms of one sign to within 2^-23.9 of their
 * sum. What is left out must be a normal float32 itself: of sums below 2^-102 a GPU may lose it. Source: Ogita, Rump & Oishi 2005,
 * "Accurate Sum and Dot Product", algorithm 4.4 and proposition 4.5.
 */
export class RunningSums {
  readonly #device: Device;
  readonly #bytes: number;
  readonly #parts: (Sums | undefined)[];
  #batches = 0;
  #isOpen = true;

  private constructor(sizes: readonly number[], bytes: number, device: Device) {
    this.#device = device;
    this.#bytes = bytes;
    this.#parts = sizes.map(() => undefined);
  }

  /**
   * Sums for tensors of these sizes in elements, in parts 0, 1, …; undefined where the device keeps no sums or has no room for all of
   * them, which follows from sizes alone.
   */
  static open(sizes: readonly number[], device: Device): RunningSums | undefined {
    const bytes = RunningSums.bytesOf(sizes);
    return device.sums?.takeFirst([bytes]) === 1 ? new RunningSums(sizes, bytes, device) : undefined;
  }

  /** What sums of these sizes take on a device. */
  static bytesOf(sizes: readonly number[]): number {
    return ELEMENT_BYTES * sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Adds `terms`, which stay the caller's; those of one part have one shape. May be called within a tidy. */
  add(part: number, terms: Tensor): void {
    const before = this.#parts[part];
    const after = tidy(() => (before === undefined ? [clone(terms), zerosLike(terms)] : addToSums(before, terms)));
    for (const tensor of after) keep(tensor);
    this.#parts[part] = after as unknown as Sums;
    if (before !== undefined) dispose([...before]);
  }

  /** To be called after each batch: waits for the device now and then. Throws as `Device.read`. */
  async settle(): Promise<void> {
    this.#batches += 1;
    const sums = this.#parts.find((part) => part !== undefined);
    if (sums === undefined || this.#batches % BATCHES_AHEAD !== 0) return;
    const [high] = sums;
    const one = slice(
      high,
      high.shape.map(() => 0),
      high.shape.map(() => 1),
    );
    try {
      await this.#device.read(one);
    } finally {
      one.dispose();
    }
  }

  /** A part's total, which is forgotten; undefined where nothing was added. Throws as `Device.read`. */
  async take(part: number): Promise<Float32Array | undefined> {
    const sums = this.#parts[part];
    if (sums === undefined) return undefined;
    this.#parts[part] = undefined;
    const total = add(...sums);
    dispose([...sums]);
    try {
      return (await this.#device.read(total)) as Float32Array;
    } finally {
      total.dispose();
    }
  }

  /** Forgets what is left and gives the room back. */
  drop(): void {
    for (const sums of this.#parts.splice(0)) if (sums !== undefined) dispose([...sums]);
    if (this.#isOpen) this.#device.sums!.giveBack(this.#bytes);
    this.#isOpen = false;
  }
}

/** Knuth's two-sum: the float32 sum of a sum and a term, and what it leaves out on top of what was left out before. */
function addToSums([high, low]: Sums, terms: Tensor): Tensor[] {
  return runOperation('birdbone.AddToSums', {
    inputs: { high, low, terms },
    compose: () => {
      const sum = add(high, terms);
      const added = sub(sum, high);
      const rest = add(sub(high, sub(sum, added)), sub(terms, added));
      return [sum, where(areFinite(sum), add(low, rest), zerosLike(low))];
    },
  });
}
