import { type Layer, memoryLayer } from '../checkpoint/index.js';
import { type Marks, type PlateGraph, removedSlices, zeroMask } from '../plates/index.js';

/**
 * A layer that zeroes the slices of plates, and is in no file: for measuring what a model is without them. The mask of one tensor
 * is in memory at a time, made when it is read.
 */
export function marksLayer(graph: PlateGraph, marks: Marks): Layer {
  const removed = removedSlices(graph, marks);
  let last: { readonly name: string; readonly bits: Uint8Array } | undefined;
  const maskOf = (name: string) => {
    if (last?.name !== name) last = { name, bits: zeroMask(removed.get(name)!) };
    return last.bits;
  };
  const masks = [...removed].map(([name, { shape }]) => {
    const elements = shape.reduce((product, extent) => product * extent, 1);
    return [name, { byteLength: Math.ceil(elements / 8), elements }] as const;
  });
  return {
    ...memoryLayer(new Map()),
    path: 'the masks of plates',
    masks: new Map(masks),
    readMask: async (name, { offset, length }) => maskOf(name).subarray(offset, offset + length),
  };
}
