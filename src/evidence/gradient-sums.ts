import { slice, type Tensor } from '@tensorflow/tfjs-core';
import type { LoadedBlock } from '../model/index.js';
import type { Device, Matrix } from '../tensor/index.js';
import type { WeightParts } from './backward-block.js';
import type { WeightGradients } from './gradient-evidence.js';
import type { GradientKind } from './kinds.js';

/** Bytes of a gradient that are read at once: copies of whole matrices would pile up faster than they are collected. */
const READ_BYTES = 32 * 2 ** 20;

/** A block's gradients on the host, summed over batches in float32. */
export class GradientSums {
  readonly #block: LoadedBlock;
  readonly #sums = new Map<string, WeightGradients>();
  /** Of each batch, its share of all predicted tokens: what its mean gradient weighs in the mean over all of them. */
  readonly #shares: readonly number[];

  /** `predictions`: how many tokens each batch predicts. For `fisher` each batch is one window. */
  constructor(block: LoadedBlock, kinds: ReadonlySet<GradientKind>, predictions: readonly number[]) {
    this.#block = block;
    const total = predictions.reduce((sum, count) => sum + count, 0);
    this.#shares = predictions.map((count) => count / total);
    for (const [name, { weight }] of block.linears) {
      const { rows, columns } = weight;
      const zeros = () => new Float32Array(rows * columns);
      this.#sums.set(name, {
        rows,
        columns,
        ...(kinds.has('gradient') && { gradient: zeros() }),
        ...(kinds.has('fisher') && { fisher: zeros() }),
      });
    }
  }

  /** Adds what batch `i` gave, the gradients of the mean loss within that batch, and disposes of it. */
  async add(i: number, gradients: ReadonlyMap<string, WeightParts>, device: Device): Promise<void> {
    for (const [name, { weight }] of this.#block.linears) {
      const sums = this.#sums.get(name)!;
      const parts = gradients.get(name) ?? [];
      for (const [at, offset] of offsetsOf(weight).entries()) {
        const part = parts[at];
        if (part === undefined) continue;
        await this.#addPart(sums, { offset, part, batch: i }, device);
        part.dispose();
      }
    }
  }

  async #addPart(
    sums: WeightGradients,
    { offset, part, batch }: { readonly offset: number; readonly part: Tensor; readonly batch: number },
    device: Device,
  ): Promise<void> {
    const [rows, columns] = part.shape as [number, number];
    const step = Math.max(1, Math.floor(READ_BYTES / (4 * columns)));
    for (let start = 0; start < rows; start += step) {
      const some = slice(part, [start, 0], [Math.min(step, rows - start), columns]);
      try {
        this.#addValues(sums, offset + start * columns, (await device.read(some)) as Float32Array, batch);
      } finally {
        some.dispose();
      }
    }
  }

  #addValues({ gradient, fisher }: WeightGradients, offset: number, values: Float32Array, batch: number): void {
    if (gradient !== undefined) {
      const share = this.#shares[batch]!;
      for (let k = 0; k < values.length; k += 1) gradient[offset + k]! += share * values[k]!;
    }
    if (fisher !== undefined) {
      const windows = this.#shares.length;
      for (let k = 0; k < values.length; k += 1) fisher[offset + k]! += values[k]! ** 2 / windows;
    }
  }

  finish(): ReadonlyMap<string, WeightGradients> {
    return this.#sums;
  }
}

/** Where each part of a matrix begins in its row-major values. */
function offsetsOf({ parts }: Matrix): number[] {
  let next = 0;
  return parts.map((part) => {
    const offset = next;
    next += part.size;
    return offset;
  });
}
