import type { LayerPlan } from '../checkpoint/index.js';
import type { Model } from '../model/index.js';
import { type PlateGraph, plateGraph } from '../plates/index.js';
import type { Compensation } from '../shedding/index.js';

/**
 * What a wave that narrows blocks will write: the linears that make up for what goes are replaced, every other tensor of the
 * blocks is masked, so that the wave's sparsity is that of the blocks' parameters.
 */
export function shedPlan(model: Model, compensation: Compensation): LayerPlan {
  const graph = plateGraph(model.decoder);
  const masks: { name: string; elements: number }[] = [];
  const values = [];
  for (const { index } of model.decoder.blocks) {
    const replaced = consumerNames(graph, index, compensation);
    for (const { tensor } of graph.slicesOf({ kind: 'block', block: index, start: index, count: 1 })) {
      const info = model.checkpoint.tensors.get(tensor)!;
      if (replaced.has(tensor)) values.push(info);
      else masks.push({ name: tensor, elements: info.shape.reduce((product, size) => product * size, 1) });
    }
  }
  return { masks, values };
}

/** Weights of a block that read what its attention and its networks make: new ones make up for what is shed. */
export function consumerNames(graph: PlateGraph, index: number, compensation: Compensation): ReadonlySet<string> {
  if (compensation === 'none') return new Set();
  const { linears } = graph.decoder.blocks[index]!;
  return new Set(linears.flatMap(({ role, weight }) => (role === 'o' || role === 'down' ? [weight] : [])));
}
