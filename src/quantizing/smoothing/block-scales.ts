import { type Checkpoint, readFloats } from '../../checkpoint/index.js';
import type { LinearInput, LinearSpec } from '../../model/index.js';
import { decodeToF32, encodeFromF32 } from '../../tensor/index.js';
import type { QuantizedSink } from '../quantizer.js';
import { readWeight } from '../stored-order.js';
import type { SmoothGroup } from './groups.js';

/** The scales of one block's inputs: columns of what reads an input are multiplied by them, what makes it is divided by them. */
export class BlockScales {
  readonly #checkpoint: Checkpoint;
  readonly #columns = new Map<LinearInput, Float32Array>();
  /** By weight, a factor for each row. */
  readonly #rows = new Map<string, Float32Array>();

  constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
  }

  /** The scales of an input; undefined where it has none. */
  of(input: LinearInput): Float32Array | undefined {
    return this.#columns.get(input);
  }

  /**
   * Folds scales [columns], all positive, into what makes the group's input, and writes the vectors that this changes. A norm's new
   * gain is rounded to what it is stored as first, and the columns get what then is missing: nothing is lost to the rounding.
   */
  async fold({ input, source }: SmoothGroup, scales: Float32Array, sink: QuantizedSink): Promise<void> {
    if (source.kind === 'norm') {
      const { gain, bias, offset } = source;
      const exact = await this.#foldGain(gain, offset, scales, sink);
      this.#columns.set(input, exact);
      if (bias !== undefined) await this.#divide(bias, exact, sink);
      return;
    }
    const { linear, rows } = source;
    this.#columns.set(input, scales);
    const factors = new Float32Array(linear.rows).fill(1);
    rows.forEach((row, j) => {
      factors[row] = 1 / scales[j]!;
    });
    this.#rows.set(linear.weight, factors);
    if (linear.bias !== undefined)
      await this.#divide(
        linear.bias,
        factors.map((factor) => 1 / factor),
        sink,
      );
  }

  /** A linear's weight [rows, columns] with all scales of the block in it. */
  async weight(spec: LinearSpec): Promise<Float32Array> {
    const values = await readWeight(this.#checkpoint, spec);
    scaleColumns(values, this.of(spec.input));
    const factors = this.#rows.get(spec.weight);
    if (factors !== undefined) {
      for (let i = 0; i < values.length; i += 1) values[i]! *= factors[Math.floor(i / spec.columns)]!;
    }
    return values;
  }

  async #foldGain(name: string, offset: 0 | 1, scales: Float32Array, sink: QuantizedSink): Promise<Float32Array> {
    const before = await readFloats(this.#checkpoint, name);
    const info = this.#checkpoint.tensors.get(name)!;
    const wanted = before.map((gain, j) => (gain + offset) / scales[j]! - offset);
    const after = decodeToF32(encodeFromF32(wanted, info.dtype), info.dtype);
    const exact = new Float32Array(scales.length);
    for (let j = 0; j < exact.length; j += 1) {
      const scale = (before[j]! + offset) / (after[j]! + offset);
      // A gain of 0, or one that rounding leaves nothing of, stays: there is nothing to move.
      const isMoved = Number.isFinite(scale) && scale > 0;
      exact[j] = isMoved ? scale : 1;
      if (!isMoved) after[j] = before[j]!;
    }
    await sink.values(info, after);
    return exact;
  }

  async #divide(name: string, scales: Float32Array, sink: QuantizedSink): Promise<void> {
    const info = this.#checkpoint.tensors.get(name)!;
    const values = (await readFloats(this.#checkpoint, name)).map((value, j) => value / scales[j]!);
    await sink.values(info, decodeToF32(encodeFromF32(values, info.dtype), info.dtype));
  }
}

/** Multiplies the columns of values [rows, columns] in place. */
export function scaleColumns(values: Float32Array, scales: Float32Array | undefined): void {
  if (scales === undefined) return;
  const { length } = scales;
  for (let start = 0; start < values.length; start += length) {
    for (let j = 0; j < length; j += 1) values[start + j]! *= scales[j]!;
  }
}

/** Stored names of the vectors that folding these groups' scales changes. */
export function vectorsOf(groups: readonly SmoothGroup[]): readonly string[] {
  return groups.flatMap(({ source }) => {
    if (source.kind === 'linear') return source.linear.bias === undefined ? [] : [source.linear.bias];
    return source.bias === undefined ? [source.gain] : [source.gain, source.bias];
  });
}

/** The groups all of whose linears are quantized: of others the dense weights would change. */
export function amongTargets(
  groups: readonly SmoothGroup[],
  targets: readonly { readonly spec: LinearSpec }[],
): readonly SmoothGroup[] {
  const quantized = new Set(targets.map(({ spec }) => spec.weight));
  return groups.filter(({ readers, source }) => {
    const touched = source.kind === 'linear' ? [...readers, source.linear] : readers;
    return touched.every(({ weight }) => quantized.has(weight));
  });
}
