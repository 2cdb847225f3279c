import { gather, keep, square, sub, sum, type Tensor, type Tensor2D, type Tensor3D, tidy } from '@tensorflow/tfjs-core';
import { stopIfAborted } from '../../errors.js';
import {
  type BlockHalf,
  disposeTables,
  type HiddenStates,
  halfInput,
  halfOutput,
  isPadded,
  type LoadedBlock,
  type PositionTables,
  positionTables,
  realPositions,
  type Sequences,
  type TokenBatch,
} from '../../model/index.js';
import type { Device } from '../../tensor/index.js';

/**
 * Tokens that candidates are compared on: their inputs and outputs stay on the device meanwhile, and every candidate runs them
 * again. AWQ finds the same scales with a tenth of the text that GPTQ needs (Lin et al. 2023, section 5.3).
 */
export const SEARCH_TOKENS = 8192;

interface JudgedBatch {
  readonly sequences: Sequences;
  /** What goes into the half, and what the unchanged block makes of it. */
  readonly input: Tensor2D;
  readonly output: Tensor2D;
  /** Rows that are real tokens; absent: all. */
  readonly positions?: Int32Array;
}

/** Compares blocks by what one half of them adds to the residual stream on the first calibration windows. */
export class HalfJudge {
  readonly #half: BlockHalf;
  readonly #device: Device;
  readonly #batches: JudgedBatch[] = [];
  readonly #tables = new Map<number, PositionTables>();

  private constructor(half: BlockHalf, device: Device) {
    this.#half = half;
    this.#device = device;
  }

  /** The caller disposes it. `block` is the one that others are held against. */
  static async open(
    block: LoadedBlock,
    states: HiddenStates,
    half: BlockHalf,
    { device, signal }: { readonly device: Device; readonly signal?: AbortSignal },
  ): Promise<HalfJudge> {
    const judge = new HalfJudge(half, device);
    try {
      let tokens = 0;
      for (const [i, batch] of states.batches.entries()) {
        stopIfAborted(signal);
        await judge.#add(block, batch, await states.load(i));
        tokens += batch.lengths.reduce((total, length) => total + length, 0);
        if (tokens >= SEARCH_TOKENS) break;
      }
    } catch (error) {
      judge.dispose();
      throw error;
    }
    return judge;
  }

  /** Σ over tokens of the squared distance between what the two blocks' halves add. */
  async errorOf(block: LoadedBlock): Promise<number> {
    let total = 0;
    for (const { sequences, input, output, positions } of this.#batches) {
      const error = tidy(() => {
        const difference = square(sub(halfOutput(block, input, sequences, this.#half), output));
        return sum(positions === undefined ? difference : gather(difference, positions));
      });
      try {
        total += (await this.#device.read(error))[0]!;
      } finally {
        error.dispose();
      }
    }
    return total;
  }

  dispose(): void {
    for (const { input, output } of this.#batches) for (const tensor of [input, output]) tensor.dispose();
    for (const tables of this.#tables.values()) disposeTables(tables);
    this.#batches.length = 0;
    this.#tables.clear();
  }

  async #add(block: LoadedBlock, batch: TokenBatch, values: Float32Array): Promise<void> {
    const { rows, columns } = batch;
    const tables = this.#tables.get(columns) ?? positionTables(block, columns, this.#device);
    this.#tables.set(columns, tables);
    const sequences: Sequences = { b: rows, t: columns, tables };
    const hidden = this.#device.upload(values, [rows, columns, values.length / (rows * columns)]) as Tensor3D;
    const made: Tensor[] = [];
    try {
      const input = halfInput(block, hidden, sequences, this.#half);
      made.push(input);
      const output = halfOutput(block, input, sequences, this.#half);
      const positions = isPadded(batch) ? realPositions(batch) : undefined;
      this.#batches.push({ sequences, input: keep(input), output: keep(output), ...(positions && { positions }) });
      made.length = 0;
    } finally {
      for (const tensor of [hidden, ...made]) tensor.dispose();
    }
  }
}
