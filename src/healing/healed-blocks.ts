import { add, concat, matMul, mul, slice, type Tensor, type Tensor2D, tidy } from '@tensorflow/tfjs-core';
import type { UseBlock } from '../evidence/index.js';
import { disposeBlock, type LoadedBlock, loadBlock, type Model } from '../model/index.js';
import type { Device, Matrix } from '../tensor/index.js';
import { withFrozen4Bit } from './frozen-weights.js';
import type { Learnt } from './learnt.js';
import { bitsAsFloats, nonZeroBits } from './mask-bits.js';
import { readWeight } from './stored-weight.js';
import type { HealSettings, TrainState } from './types.js';

/** Whose blocks, and what is learnt of them. */
export interface HealedModel {
  /** Its zeros are the masks. */
  readonly student: Model;
  readonly learnt: readonly Learnt[];
  readonly settings: Pick<HealSettings, 'masked' | 'frozen'>;
  /** What is learnt now, by the names in `learnt`; read at every use, never written. */
  readonly arrays: TrainState['arrays'];
}

export interface HealedBlocksContext {
  readonly device: Device;
  /** What blocks may keep on the device between their uses. */
  readonly memoryBytes: number;
}

/** A block's frozen weights on the device, and M of those that are learnt, part by part as the weight. */
interface FrozenBlock {
  readonly block: LoadedBlock;
  readonly masks: ReadonlyMap<string, readonly Tensor2D[]>;
}

/** The student's blocks as they are learnt: linears that are have the weight M ⊙ (W + s B A), made for each use. */
export class HealedBlocks {
  readonly #model: HealedModel;
  /** Whose weights the blocks have: the student, or the student in fewer bits. */
  readonly #frozen: Model;
  readonly #bits: ReadonlyMap<string, Uint8Array>;
  readonly #device: Device;
  readonly #resident = new Map<number, FrozenBlock>();
  #freeBytes: number;

  private constructor(
    model: HealedModel,
    frozen: Model,
    bits: ReadonlyMap<string, Uint8Array>,
    { device, memoryBytes }: HealedBlocksContext,
  ) {
    this.#model = model;
    this.#frozen = frozen;
    this.#bits = bits;
    this.#device = device;
    this.#freeBytes = memoryBytes;
  }

  static async open(model: HealedModel, context: HealedBlocksContext): Promise<HealedBlocks> {
    const { student, learnt, settings } = model;
    const bits = new Map<string, Uint8Array>();
    for (const { spec } of settings.masked ? learnt : []) {
      const found = nonZeroBits(await readWeight(student.checkpoint, spec));
      if (found !== undefined) bits.set(spec.weight, found);
    }
    const frozen = settings.frozen === 'nf4' ? await withFrozen4Bit(student, learnt) : student;
    return new HealedBlocks(model, frozen, bits, context);
  }

  learntIn(index: number): readonly Learnt[] {
    return this.#model.learnt.filter(({ block }) => block === index);
  }

  /** Calls `use` with the block as it is now. */
  readonly use: UseBlock = async (index, use) => {
    const frozen = this.#resident.get(index) ?? (await this.#load(index));
    try {
      const learnt = this.learntIn(index);
      // Activations, keys and values pass as they are: rounding has no gradient.
      const { keyValues: _, ...block } = frozen.block;
      const linears = new Map(block.linears);
      for (const [name, { rounding: _, ...linear }] of block.linears) linears.set(name, linear);
      const made = learnt.map((each) => this.#effective(each, frozen));
      learnt.forEach(({ spec }, i) => {
        linears.set(spec.weight, { ...linears.get(spec.weight)!, weight: made[i]! });
      });
      try {
        return await use({ ...block, linears });
      } finally {
        for (const { parts } of made) for (const part of parts) part.dispose();
      }
    } finally {
      if (!this.#resident.has(index)) disposeFrozen(frozen);
    }
  };

  /**
   * Turns dL/dE, E = M ⊙ (W + s B A) and in E's parts, into the gradients of what is learnt: with G = M ⊙ dL/dE they are s G Aᵀ
   * and s Bᵀ G, or G itself. Two thin products, whatever the number of tokens; leaves `parts` as they are.
   */
  async pullBack(learnt: Learnt, parts: readonly Tensor[]): Promise<ReadonlyMap<string, Float32Array>> {
    const found = tidy(() => {
      const kept = this.#resident.get(learnt.block)?.masks.get(learnt.spec.weight);
      const masks = kept ?? this.#maskParts(learnt, partRows(parts));
      const masked = parts.map((part, p) => (masks === undefined ? part.clone() : mul(part, masks[p]!)) as Tensor2D);
      return this.#gradients(learnt, masked);
    });
    const gradients = new Map<string, Float32Array>();
    try {
      for (const [name, tensor] of found) gradients.set(name, (await this.#device.read(tensor)) as Float32Array);
    } finally {
      for (const [, tensor] of found) tensor.dispose();
    }
    return gradients;
  }

  close(): void {
    for (const frozen of this.#resident.values()) disposeFrozen(frozen);
    this.#resident.clear();
  }

  #gradients({ arrays, scale }: Learnt, parts: readonly Tensor2D[]): [string, Tensor][] {
    const whole = (tensors: Tensor2D[]) => (tensors.length === 1 ? tensors[0]! : concat(tensors, 0));
    if (arrays.kind === 'full') return [[arrays.difference, whole([...parts])]];
    const [left, right] = [this.#upload(arrays.left), this.#upload(arrays.right)];
    const scaled = parts.map((part) => mul(part, scale) as Tensor2D);
    let first = 0;
    const ofRight = scaled.map((part) => {
      const rows = slice(left, [first, 0], [part.shape[0], left.shape[1]]);
      first += part.shape[0];
      return matMul(rows, part, true, false) as Tensor2D;
    });
    return [
      [arrays.left, whole(scaled.map((part) => matMul(part, right, false, true) as Tensor2D))],
      [arrays.right, ofRight.reduce((sum, part) => add(sum, part) as Tensor2D)],
    ];
  }

  #effective(learnt: Learnt, { block, masks }: FrozenBlock): Matrix {
    const { arrays, scale, spec } = learnt;
    const { weight } = block.linears.get(spec.weight)!;
    return tidy(() => {
      const [left, right] =
        arrays.kind === 'full'
          ? [this.#upload(arrays.difference), undefined]
          : [mul(this.#upload(arrays.left), scale) as Tensor2D, this.#upload(arrays.right)];
      let first = 0;
      const parts = weight.parts.map((part, p) => {
        const rows = slice(left, [first, 0], [part.shape[0]!, left.shape[1]]);
        first += part.shape[0]!;
        const change = right === undefined ? rows : matMul(rows, right);
        const mask = masks.get(spec.weight)?.[p];
        return add(part, mask === undefined ? change : mul(change, mask));
      });
      return { rows: weight.rows, columns: weight.columns, parts };
    });
  }

  async #load(index: number): Promise<FrozenBlock> {
    const block = await loadBlock(this.#frozen, index, this.#device);
    const masks = new Map<string, readonly Tensor2D[]>();
    for (const learnt of this.learntIn(index)) {
      const { weight } = block.linears.get(learnt.spec.weight)!;
      const parts = this.#maskParts(learnt, partRows(weight.parts));
      if (parts !== undefined) masks.set(learnt.spec.weight, parts);
    }
    const loaded = { block, masks };
    const bytes = bytesOf(loaded);
    if (bytes <= this.#freeBytes) {
      this.#freeBytes -= bytes;
      this.#resident.set(index, loaded);
    }
    return loaded;
  }

  #maskParts({ spec }: Learnt, rows: readonly number[]): Tensor2D[] | undefined {
    const bits = this.#bits.get(spec.weight);
    if (bits === undefined) return undefined;
    let first = 0;
    return rows.map((count) => {
      const values = bitsAsFloats(bits, first * spec.columns, count * spec.columns);
      first += count;
      return this.#device.upload(values, [count, spec.columns]) as Tensor2D;
    });
  }

  #upload(name: string): Tensor2D {
    const { shape, values } = this.#model.arrays.get(name)!;
    return this.#device.upload(values, shape) as Tensor2D;
  }
}

function partRows(parts: readonly Tensor[]): number[] {
  return parts.map(({ shape }) => shape[0]!);
}

function bytesOf({ block, masks }: FrozenBlock): number {
  const weights = [...block.linears.values()].flatMap(({ weight }) => weight.parts);
  return [...weights, ...[...masks.values()].flat()].reduce((sum, { size }) => sum + 4 * size, 0);
}

function disposeFrozen({ block, masks }: FrozenBlock): void {
  disposeBlock(block);
  for (const parts of masks.values()) for (const part of parts) part.dispose();
}
