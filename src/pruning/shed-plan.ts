import type { Checkpoint, LayerPlan, TensorInfo } from '../checkpoint/index.js';
import type { LinearRole, Model } from '../model/index.js';
import { type PlateGraph, plateGraph } from '../plates/index.js';
import type { Compensation, WidthKind } from '../shedding/index.js';
import { biasInfo } from './shed-block.js';

/** What a wave that narrows blocks goes by. */
export interface WidthRules {
  readonly kinds: readonly WidthKind[];
  readonly compensation: Compensation;
}

/**
 * What a wave that narrows blocks will write: the weights or biases that make up for what goes are replaced (biases added where
 * there are none), every other tensor of the blocks is masked, so that the wave's sparsity is that of the blocks' parameters.
 */
export function shedPlan(model: Model, rules: WidthRules): LayerPlan {
  const graph = plateGraph(model.decoder);
  const masks: { name: string; elements: number }[] = [];
  const values: TensorInfo[] = [];
  for (const { index } of model.decoder.blocks) {
    const replaced = replacedTensors(graph, model.checkpoint, index, rules);
    values.push(...replaced.values());
    for (const { tensor } of graph.slicesOf({ kind: 'block', block: index, start: index, count: 1 })) {
      if (replaced.has(tensor)) continue;
      const { shape } = model.checkpoint.tensors.get(tensor)!;
      masks.push({ name: tensor, elements: shape.reduce((product, size) => product * size, 1) });
    }
  }
  return { masks, values };
}

/** Who reads what plates of a kind make. */
const READERS: Readonly<Record<WidthKind, LinearRole>> = { 'kv-group': 'o', 'ffn-channel': 'down' };

/** Tensors of a block that are written anew: of the linears that read what it makes, weights for a fold, biases for a bias. */
export function replacedTensors(
  graph: PlateGraph,
  checkpoint: Checkpoint,
  index: number,
  { kinds, compensation }: WidthRules,
): ReadonlyMap<string, TensorInfo> {
  if (compensation === 'none') return new Map();
  const roles = kinds.map((kind) => READERS[kind]);
  const { linears } = graph.decoder.blocks[index]!;
  const infos = linears
    .filter(({ role }) => roles.includes(role))
    .map((linear) => (compensation === 'flap' ? biasInfo(checkpoint, linear) : checkpoint.tensors.get(linear.weight)!));
  return new Map(infos.map((info) => [info.name, info]));
}
