import { BirdboneError } from '../errors.js';
import type { WeightHashes } from '../manifest/index.js';
import type { WaveLayer } from './session.js';

/** The digest that each tensor has in the state these layers make, as the waves recorded it; none of tensors they leave alone. */
export function expectedDigests(layers: readonly WaveLayer[]): ReadonlyMap<string, string> {
  return new Map(
    layers.flatMap(({ entries }) => [...entries.values()].map(({ name, after }) => [name, after] as const)),
  );
}

/**
 * Throws `mismatch` unless what was read of a state is, tensor by tensor, what its waves made: whatever is wrong with base,
 * objects or the reading of them, it ends here and not in a published model.
 */
export function checkDigests({ tensors }: WeightHashes, layers: readonly WaveLayer[]): void {
  for (const [name, expected] of expectedDigests(layers)) {
    const found = tensors.get(name)?.sha256;
    if (found === expected) continue;
    const wave = layers.findLast(({ entries }) => entries.has(name))!.wave;
    throw new BirdboneError(
      'mismatch',
      `Tensor ${name} is not what wave ${wave} made of it: its digest is ${found ?? 'missing'}, not ${expected}.`,
      { tensor: name, suggestions: ['Restore the base model and the state folder as they were when the run ended.'] },
    );
  }
}
