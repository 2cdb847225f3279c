import { BirdboneError } from '../../errors.js';
import type { Checkpoint } from '../checkpoint.js';
import { quoted } from '../files/quote.js';
import { tensorOf } from '../reading.js';
import { rangeWithin } from '../safetensors/safetensors.js';
import type { Layer } from './layer.js';
import { flipBits, refuseMisfit, refuseOther, storedIn } from './overlay.js';

/**
 * A checkpoint that reads as it was before the layers, bit for bit, without what they added; `after` is what they made, and they
 * are given in the order in which they were applied. The reverse of `overlay`, for when the base is not at hand. Each read takes from the files only
 * the range it needs. Closing it closes `after`.
 *
 * Throws `mismatch` for a layer that does not fit, `unsupported` for one that replaced a tensor by another type or shape: the
 * values before are in the base alone. Reading throws RangeError where a layer of masks has not kept what it removed.
 */
export function undo(after: Checkpoint, layers: readonly Layer[]): Checkpoint {
  for (const layer of layers) {
    for (const name of layer.values.keys()) throw replaced(layer, name);
    for (const name of layer.masks.keys()) refuseMisfit(storedIn(after.tensors, name, layer), layer);
    for (const info of layer.xors.values()) refuseOther(storedIn(after.tensors, info.name, layer), info, layer);
    for (const info of layer.added.values()) refuseOther(storedIn(after.tensors, info.name, layer), info, layer);
  }
  const isAdded = (name: string) => layers.some(({ added }) => added.has(name));
  const before: Checkpoint = {
    ...after,
    tensors: new Map([...after.tensors].filter(([name]) => !isAdded(name))),
    async read(name, range) {
      const info = tensorOf(before, name);
      const within = rangeWithin(info, range);
      const bytes = await after.read(info.name, within);
      for (const layer of layers.toReversed()) {
        if (!layer.masks.has(info.name) && !layer.xors.has(info.name)) continue;
        flipBits(bytes, await layer.readDifference(info.name, within));
      }
      return bytes;
    },
    close: () => after.close(),
  };
  return before;
}

function replaced(layer: Layer, tensor: string): BirdboneError {
  const message = `${layer.path} replaced tensor ${quoted(tensor)} by one of another type or shape; what it was is in the base model alone.`;
  return new BirdboneError('unsupported', message, {
    file: layer.path,
    tensor,
    suggestions: ['Go back over the base model that the run was started with.'],
  });
}
