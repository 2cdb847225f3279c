import {
  add,
  concat,
  dispose,
  matMul,
  type Scalar,
  slice,
  square,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  tidy,
} from '@tensorflow/tfjs-core';
import type { Device } from '../device.js';
import { hasDeviceKernel, runDeviceKernel } from '../kernels.js';

/** Columns of the widest block that a kernel takes. */
export const SWEEP_BLOCK_COLUMNS = 128;

/** U with (G + dI)⁻¹ = Uᵀ U, upper triangular [size, size]. */
export interface SweepFactor {
  readonly values: Float32Array | Float64Array;
  readonly size: number;
}

/** A matrix's weights on the host, row-major. */
export interface SweptWeights {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** What becomes of one block's weights; `keep` [rows, count] is 1 where a weight may stay. */
export type BlockStep =
  | { readonly kind: 'prune'; readonly keep: Int32Array }
  /** Each `group` of columns keeps `kept`; `bias` [count] multiplies the scores. */
  | {
      readonly kind: 'choose';
      readonly keep: Int32Array;
      readonly group: number;
      readonly kept: number;
      readonly bias: Float32Array;
    }
  /** Codes from 0 to `most` of tiles [rows, groups, 2], a scale and a zero each; `groupOf` [count] is each column's. */
  | {
      readonly kind: 'round';
      readonly keep: Int32Array;
      readonly most: number;
      readonly tiles: Float32Array;
      readonly groupOf: Int32Array;
    };

/**
 * A sweep over the columns of one matrix on a GPU, block after block from the left: weights stay there until the end, and what a block
 * passes on reaches the columns behind it by one product. In single precision.
 *
 * Sources: Frantar & Alistarh 2023, "SparseGPT", algorithm 1; Frantar et al. 2022, "GPTQ", algorithm 1.
 */
export class ColumnSweep {
  readonly #device: Device;
  readonly #factor: SweepFactor;
  readonly #rows: number;
  readonly #columns: number;
  readonly #done: Tensor2D[] = [];
  /** The columns that no block has had, from `#next` on; absent when there are none. */
  #rest: Tensor2D | undefined;
  #next = 0;
  /** Σ errors² of the blocks so far. */
  #loss: Scalar | undefined;

  private constructor(device: Device, factor: SweepFactor, { values, rows, columns }: SweptWeights) {
    this.#device = device;
    this.#factor = factor;
    this.#rows = rows;
    this.#columns = columns;
    this.#rest = device.upload(values, [rows, columns]) as Tensor2D;
  }

  /** Undefined where the open device has no kernels for it, or where the matrix is more than one tensor holds. */
  static open(device: Device, factor: SweepFactor, weights: SweptWeights): ColumnSweep | undefined {
    const { rows, columns } = weights;
    const elements = Math.max(rows * columns, SWEEP_BLOCK_COLUMNS * columns);
    const able = device.name === 'webgpu' && hasDeviceKernel('birdbone.PruneBlock');
    return able && rows * columns > 0 && 4 * elements <= device.maxTensorBytes
      ? new ColumnSweep(device, factor, weights)
      : undefined;
  }

  /** The next `count` columns as the blocks before have left them, [rows, count]. */
  async peek(count: number): Promise<Float32Array> {
    const block = this.#block(count);
    try {
      return (await this.#device.read(block)) as Float32Array;
    } finally {
      block.dispose();
    }
  }

  /** Takes the next `count` columns, 128 at most, and corrects those behind. Returns the codes [rows, count] of a `round`. */
  async step(count: number, step: BlockStep): Promise<Int32Array | undefined> {
    const inputs = this.#upload(count, step);
    try {
      const [done, errors, codes] = this.#run(count, step, inputs);
      this.#done.push(done!);
      this.#pass(errors!, count);
      return codes && (await this.#take(codes));
    } finally {
      dispose(Object.values(inputs));
    }
  }

  /** The corrected weights and Σ errors², once every column has had its turn. */
  async finish(): Promise<{ readonly values: Float32Array; readonly loss: number }> {
    const whole = concat(this.#done, 1);
    try {
      const [loss] = await this.#device.read(this.#loss!);
      return { values: (await this.#device.read(whole)) as Float32Array, loss: loss! };
    } finally {
      whole.dispose();
    }
  }

  dispose(): void {
    dispose([...this.#done, this.#rest, this.#loss].filter((tensor) => tensor !== undefined));
  }

  #block(count: number): Tensor2D {
    return slice(this.#rest!, [0, 0], [this.#rows, count]);
  }

  /** Takes what a block passed on off the columns behind it, and gives its errors back. */
  #pass(errors: Tensor2D, count: number): void {
    const [before, lossBefore] = [this.#rest!, this.#loss];
    const after = this.#columns - this.#next - count;
    this.#loss = tidy(() => {
      const own = sum(square(errors)) as Scalar;
      return lossBefore === undefined ? own : add(lossBefore, own);
    });
    this.#rest = undefined;
    if (after > 0) {
      const right = this.#device.upload(this.#factorPart(count, count, after), [count, after]) as Tensor2D;
      this.#rest = tidy(() => sub(slice(before, [0, count], [this.#rows, after]), matMul(errors, right)));
      right.dispose();
    }
    dispose([before, errors]);
    lossBefore?.dispose();
    this.#next += count;
  }

  async #take(codes: Tensor): Promise<Int32Array> {
    try {
      return (await this.#device.read(codes)) as Int32Array;
    } finally {
      codes.dispose();
    }
  }

  #upload(count: number, step: BlockStep): Record<string, Tensor> {
    const upload = (values: Float32Array | Int32Array, shape: readonly number[]) => this.#device.upload(values, shape);
    return {
      weights: this.#block(count),
      upper: upload(this.#factorPart(count, 0, count), [count, count]),
      keep: upload(step.keep, [this.#rows, count]),
      ...(step.kind === 'choose' && { bias: upload(step.bias, [count]) }),
      ...(step.kind === 'round' && {
        tiles: upload(step.tiles, [this.#rows, step.tiles.length / (2 * this.#rows), 2]),
        groupOf: upload(step.groupOf, [count]),
      }),
    };
  }

  #run(count: number, step: BlockStep, inputs: Record<string, Tensor>): Tensor2D[] {
    if (count > SWEEP_BLOCK_COLUMNS) throw new RangeError(`A block of ${count} columns.`);
    switch (step.kind) {
      case 'prune':
        return runDeviceKernel('birdbone.PruneBlock', inputs);
      case 'choose':
        return runDeviceKernel('birdbone.ChooseBlock', inputs, { group: step.group, kept: step.kept });
      case 'round':
        return runDeviceKernel('birdbone.RoundBlock', inputs, { most: step.most });
    }
  }

  /** Rows of the factor beside the next block, [count, width] from `offset` columns behind its first one. */
  #factorPart(count: number, offset: number, width: number): Float32Array {
    const { values, size } = this.#factor;
    const part = new Float32Array(count * width);
    for (let row = 0; row < count; row += 1) {
      const start = (this.#next + row) * size + this.#next + offset;
      part.set(values.subarray(start, start + width), row * width);
    }
    return part;
  }
}
