import type { TensorInfo } from '../checkpoint.js';

/** The bits that say which elements of a tensor stay. */
export interface LayerMask {
  readonly byteLength: number;
  /** The exact number of bits, where the layer records it. */
  readonly elements?: number;
}

/**
 * What one change did to a checkpoint: tensors whose values are replaced, and masks over tensors that stay but for the
 * elements that were removed. A tensor is one or the other. `overlay` lays it over a base.
 */
export interface Layer {
  /** What messages call it. */
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly masks: ReadonlyMap<string, LayerMask>;
  readonly values: ReadonlyMap<string, TensorInfo>;
  /** Mask bytes `[offset, offset + length)`. Bit i of a mask is bit i % 8, lowest first, of byte ⌊i / 8⌋; 1 = kept. */
  readMask(name: string, range: { readonly offset: number; readonly length: number }): Promise<Uint8Array>;
  /** Bytes of a replaced tensor, in an array of the caller's own. */
  readValues(name: string, range: { readonly offset: number; readonly length: number }): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A layer of masks that only this process knows: work that is not committed. The bits are not copied. */
export function memoryLayer(masks: ReadonlyMap<string, Uint8Array>): Layer {
  return {
    path: 'the masks in memory',
    metadata: {},
    masks: new Map([...masks].map(([name, bits]) => [name, { byteLength: bits.length }])),
    values: new Map(),
    async readMask(name, { offset, length }) {
      return masks.get(name)!.subarray(offset, offset + length);
    },
    async readValues(name) {
      throw new RangeError(`A layer of masks has no values of ${name}.`);
    },
    async close() {},
  };
}
