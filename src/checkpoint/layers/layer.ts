import type { ReadRange, TensorInfo } from '../checkpoint.js';

/** The bits that say which elements of a tensor stay. */
export interface LayerMask {
  readonly byteLength: number;
  /** The exact number of bits, where the layer records it. */
  readonly elements?: number;
}

/** Everything about a layer but its bits and bytes: what an edit says before it begins. */
export interface LayerPlan {
  readonly masks: readonly { readonly name: string; readonly elements: number }[];
  /** Tensors that get new bytes, and those that the model does not store yet. */
  readonly values: readonly TensorInfo[];
}

/** Where an edit puts what its plan announced. */
export interface LayerWriter {
  /** Writes one mask whole; see `Layer.readMask` for the order of its bits. */
  writeMask(name: string, bits: Uint8Array): Promise<void>;
  /** Writes the next bytes of one replaced or added tensor. */
  writeValues(name: string, offset: number, bytes: Uint8Array): Promise<void>;
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

/**
 * What one change did to a checkpoint: masks over tensors that stay but for the elements that were removed, tensors that stay
 * but for some of their bits, tensors of which everything is new, and tensors that were not there. A tensor is one of these.
 * `overlay` lays it over a base, and `undo` takes it off again.
 */
export interface Layer {
  /** What messages call it. */
  readonly path: string;
  readonly masks: ReadonlyMap<string, LayerMask>;
  /** Tensors of the same type and shape with other bytes. */
  readonly xors: ReadonlyMap<string, TensorInfo>;
  readonly values: ReadonlyMap<string, TensorInfo>;
  /** Tensors that the checkpoint below does not store. */
  readonly added: ReadonlyMap<string, TensorInfo>;
  /** Mask bytes `[offset, offset + length)`. Bit i of a mask is bit i % 8, lowest first, of byte ⌊i / 8⌋; 1 = kept. */
  readMask(name: string, range: Range): Promise<Uint8Array>;
  /**
   * The bytes of a tensor before the change XOR those after it, for a tensor in `xors`, and for one in `masks` where the layer
   * has kept what it removed; throws RangeError where it has not.
   */
  readDifference(name: string, range: Range): Promise<Uint8Array>;
  /** Bytes of a replaced or added tensor, in an array of the caller's own, which may be a part of `into`. */
  readValues(name: string, range: ReadRange): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** New bytes of one tensor, in memory. */
export interface MemoryValues {
  readonly info: TensorInfo;
  readonly bytes: Uint8Array;
}

/** A layer that only this process knows: work that is not committed. Neither bits nor bytes are copied before they are read. */
export function memoryLayer(
  masks: ReadonlyMap<string, Uint8Array>,
  values: ReadonlyMap<string, MemoryValues> = new Map(),
  added: ReadonlyMap<string, MemoryValues> = new Map(),
): Layer {
  const infosOf = (tensors: ReadonlyMap<string, MemoryValues>) =>
    new Map([...tensors].map(([name, { info }]) => [name, info]));
  return {
    path: 'the layer in memory',
    masks: new Map([...masks].map(([name, bits]) => [name, { byteLength: bits.length }])),
    xors: new Map(),
    values: infosOf(values),
    added: infosOf(added),
    async readMask(name, { offset, length }) {
      return masks.get(name)!.subarray(offset, offset + length);
    },
    async readDifference(name) {
      throw new RangeError(`A layer in memory has no differences of ${name}.`);
    },
    async readValues(name, { offset, length }) {
      return (values.get(name) ?? added.get(name))!.bytes.slice(offset, offset + length);
    },
    async close() {},
  };
}
