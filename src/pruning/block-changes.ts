import { type Layer, type LayerWriter, type MemoryValues, memoryLayer, type TensorInfo } from '../checkpoint/index.js';
import type { LinearSpec } from '../model/index.js';
import type { Mask } from '../sparsity/index.js';
import { encodeFromF32 } from '../tensor/index.js';
import { storedBits, storedValues } from './stored-layout.js';

/** What an edit has written of one block, kept until the block has run with it. */
export class BlockChanges {
  readonly #writer: LayerWriter;
  readonly #masks = new Map<string, Uint8Array>();
  readonly #values = new Map<string, MemoryValues>();

  constructor(writer: LayerWriter) {
    this.#writer = writer;
  }

  async writeMask(spec: LinearSpec, mask: Mask): Promise<void> {
    const bits = storedBits(mask, spec);
    this.#masks.set(spec.weight, bits);
    await this.#writer.writeMask(spec.weight, bits);
  }

  /** Replaces a weight by values [rows, columns], rounded to the type that it is stored in: a zero stays one. */
  async writeValues(spec: LinearSpec, values: Float32Array, info: TensorInfo): Promise<void> {
    const bytes = encodeFromF32(storedValues(values, spec), info.dtype);
    this.#values.set(spec.weight, { info, bytes });
    await this.#writer.writeValues(spec.weight, 0, bytes);
  }

  /** What was written, as a layer over the model before. */
  layer(): Layer {
    return memoryLayer(this.#masks, this.#values);
  }
}
