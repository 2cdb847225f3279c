import type { LayerWriter } from '../checkpoint/index.js';
import { type Marks, type PlateGraph, removedSlices, zeroMask } from '../plates/index.js';
import { fullMask } from '../sparsity/index.js';

/** Writes a mask of every tensor of a block, zero where plates have gone; of none that is in `replaced`. */
export async function writeBlockMasks(
  { graph, index, marks }: { readonly graph: PlateGraph; readonly index: number; readonly marks: Marks },
  writer: LayerWriter,
  replaced: ReadonlyMap<string, unknown> = new Map(),
): Promise<void> {
  const removed = removedSlices(graph, marks);
  for (const { tensor } of graph.slicesOf({ kind: 'block', block: index, start: index, count: 1 })) {
    if (replaced.has(tensor)) continue;
    const slices = removed.get(tensor);
    const [rows = 1, columns = 1] = graph.shapes.get(tensor)!;
    await writer.writeMask(tensor, slices === undefined ? fullMask(rows, columns).bits : zeroMask(slices));
  }
}
