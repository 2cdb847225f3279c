import type { TensorInfo } from '../checkpoint/index.js';
import { type History, waveOf } from '../state/index.js';

/** How sparse a model is in a state, and each matrix of it. */
export interface StateSparsity {
  readonly sparsity: number;
  readonly layers: readonly LayerSparsity[];
}

export interface LayerSparsity {
  readonly name: string;
  readonly elements: number;
  readonly sparsity: number;
}

/**
 * The sparsity of the current state, from what the waves measured of their masks. Where tensors stand at different waves, each
 * has its own wave's figure, and the whole is their mean by elements.
 */
export function sparsityOfState(past: History, tensors: ReadonlyMap<string, TensorInfo>): StateSparsity {
  const committed = past.waves.filter(({ verdict }) => verdict === 'committed');
  const last = committed.findLast(({ active }) => active);
  if (last === undefined) return { sparsity: 0, layers: [] };
  // Waves that store what is there in another form leave it as sparse as it was; and their parts are no matrices.
  const removing = committed.filter(({ shapes }) => shapes !== 'final');
  const sized = (layers: readonly Omit<LayerSparsity, 'elements'>[]): LayerSparsity[] =>
    layers.map(({ name, sparsity }) => ({ name, elements: elementsOf(tensors.get(name)), sparsity }));
  if (past.state.tensors.length === 0) {
    const layers = removing.findLast(({ active }) => active)?.layers ?? last.layers.filter(isRemovedFrom);
    return { sparsity: last.sparsity, layers: sized(layers) };
  }
  const at = waveOf(past.state);
  const measured = new Map<string, number>();
  for (const { wave, layers } of removing) {
    for (const { name, sparsity } of layers)
      measured.set(name, wave <= at(name) ? sparsity : (measured.get(name) ?? 0));
  }
  let elements = 0;
  let removed = 0;
  for (const [name, sparsity] of measured) {
    const size = elementsOf(tensors.get(name));
    elements += size;
    removed += Math.round(sparsity * size);
  }
  const layers = sized([...measured].map(([name, sparsity]) => ({ name, sparsity })));
  return { sparsity: elements === 0 ? 0 : removed / elements, layers };
}

/** Of a wave that has nothing to remove but on the way: parts of coded weights are never removed from. */
function isRemovedFrom({ sparsity }: Pick<LayerSparsity, 'sparsity'>): boolean {
  return sparsity > 0;
}

function elementsOf(info: TensorInfo | undefined): number {
  return info?.shape.reduce((product, extent) => product * extent, 1) ?? 0;
}
