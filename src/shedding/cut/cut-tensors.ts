import { type Marks, type PlateGraph, removedSlices } from '../../plates/index.js';
import type { CutTensor } from './gathered-view.js';
import { keepWithout } from './kept.js';
import type { ModelWidths } from './widths.js';

/**
 * What every tensor of a model becomes, by its new name: which rows and columns stay, under the number that its block and its
 * expert have among those that stay. Tensors of sub-blocks and experts that are gone are not in it, and neither is what the
 * decoder does not know (buffers of old exporters).
 */
export function cutTensors(graph: PlateGraph, marks: Marks, widths: ModelWidths): ReadonlyMap<string, CutTensor> {
  const removed = removedSlices(graph, marks);
  const gone = tensorsGone(graph, widths);
  const entries = new Map<string, CutTensor>();
  const owners = ownersOf(graph);
  for (const [tensor, shape] of graph.shapes) {
    if (gone.has(tensor)) continue;
    const [rows, columns] = removed.get(tensor)?.removed ?? [];
    const kept = keepWithout(shape[0]!, rows);
    const across = shape.length > 1 ? { columns: keepWithout(shape[1]!, columns) } : {};
    if (kept.count === 0 || across.columns?.count === 0) continue;
    entries.set(renamed(tensor, owners.get(tensor), widths), { stored: tensor, rows: kept, ...across });
  }
  return entries;
}

/** Which block of the decoder a tensor is in. */
function ownersOf(graph: PlateGraph): ReadonlyMap<string, number> {
  const owners = new Map<string, number>();
  for (const { index } of graph.decoder.blocks) {
    for (const { tensor } of graph.slicesOf({ kind: 'block', block: index, start: index, count: 1 })) {
      owners.set(tensor, index);
    }
  }
  return owners;
}

/** Tensors of the sub-blocks that are not in the widths, their norms included. */
function tensorsGone(graph: PlateGraph, widths: ModelWidths): ReadonlySet<string> {
  const left = new Map(widths.blocks.map((block) => [block.block, block]));
  const gone = new Set<string>();
  for (const { index } of graph.decoder.blocks) {
    const block = left.get(index);
    for (const kind of ['attention', 'ffn'] as const) {
      const width = kind === 'attention' ? block?.heads : block?.ffn;
      if ((width ?? 0) > 0) continue;
      for (const { tensor } of graph.slicesOf({ kind, block: index, start: index, count: 1 })) gone.add(tensor);
    }
  }
  return gone;
}

/**
 * The name with the numbers that block and expert have after the cut. In every architecture's names the first number is the
 * block's, and an expert's follows "experts".
 */
export function renamed(tensor: string, block: number | undefined, { blocks }: ModelWidths): string {
  if (block === undefined) return tensor;
  const number = blocks.findIndex((left) => left.block === block);
  const { experts } = blocks[number]!;
  const moved = tensor.replace(`.${block}.`, `.${number}.`);
  if (experts === undefined) return moved;
  return moved.replace(/\.experts\.(\d+)\./, (_, expert) => `.experts.${experts.indexOf(Number(expert))}.`);
}
