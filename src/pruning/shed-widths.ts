import { chunksOf } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { disposeBlock, type HiddenStates, loadBlock, runBlock } from '../model/index.js';
import { Marks, type PlateGraph, plateGraph, removedSlices, zeroMask } from '../plates/index.js';
import type { Compensation } from '../shedding/index.js';
import { fullMask } from '../sparsity/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { type BlockShedding, type ShedBlock, shedBlock, withShed } from './shed-block.js';
import { consumerNames } from './shed-plan.js';

/**
 * Sheds what is allotted, block after block: each is judged by, and makes up for, what comes out of the blocks before it as they
 * now are. Writes every mask and replacement of `shedPlan`, and returns the plates that have gone. One block is resident.
 */
export async function shedWidths(
  rules: Pick<BlockShedding, 'allotment' | 'compensation' | 'aggressiveness'>,
  context: EditContext,
): Promise<Marks> {
  const { model, report, signal } = context;
  const graph = plateGraph(model.decoder);
  const states = await calibrationStates(context);
  let marks = Marks.none;
  try {
    const total = model.decoder.blocks.length;
    for (let index = 0; index < total; index += 1) {
      stopIfAborted(signal);
      const shed = await shedBlock({ ...rules, graph, index }, states, context);
      if (index + 1 < total) await advance({ graph, index, shed }, states, context);
      await writeBlock({ graph, index, shed, compensation: rules.compensation }, context);
      marks = marks.with(shed.marks);
      report({ type: 'progress', stage: 'shed', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states.close();
  }
  return marks;
}

interface DoneBlock {
  readonly graph: PlateGraph;
  readonly index: number;
  readonly shed: ShedBlock;
}

/** Replaces the hidden states by what the block gives without what it has shed. */
async function advance({ graph, index, shed }: DoneBlock, states: HiddenStates, context: EditContext): Promise<void> {
  const { model, device, signal } = context;
  const block = await loadBlock(withShed(model, graph, shed), index, device);
  try {
    await runBlock(block, states, device, { store: true, ...(signal && { signal }) });
  } finally {
    disposeBlock(block);
  }
}

async function writeBlock(
  { graph, index, shed, compensation }: DoneBlock & { readonly compensation: Compensation },
  { model, writer }: EditContext,
): Promise<void> {
  const removed = removedSlices(graph, shed.marks);
  const replaced = consumerNames(graph, index, compensation);
  for (const { tensor } of graph.slicesOf({ kind: 'block', block: index, start: index, count: 1 })) {
    if (replaced.has(tensor)) {
      const { checkpoint } = model;
      const values = shed.values.get(tensor);
      let offset = 0;
      for await (const bytes of values === undefined ? chunksOf(checkpoint, tensor) : [values.bytes]) {
        await writer.writeValues(tensor, offset, bytes);
        offset += bytes.length;
      }
      continue;
    }
    const slices = removed.get(tensor);
    const [rows = 1, columns = 1] = graph.shapes.get(tensor)!;
    await writer.writeMask(tensor, slices === undefined ? fullMask(rows, columns).bits : zeroMask(slices));
  }
}
