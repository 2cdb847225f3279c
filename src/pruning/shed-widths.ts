import { chunksOf } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { Marks, type PlateGraph, plateGraph } from '../plates/index.js';
import { writeBlockMasks } from './block-masks.js';
import { advanceStates, calibrationStates } from './calibration-states.js';
import type { ChannelQuota } from './channel-order.js';
import type { EditContext, Proposal } from './edit.js';
import { type BlockShedding, type ShedBlock, shedBlock, withShed } from './shed-block.js';
import { replacedTensors, type WidthRules } from './shed-plan.js';

type Widths = WidthRules &
  Pick<BlockShedding, 'allotment' | 'aggressiveness'> & {
    /** Of each block; see `BlockShedding`. */
    readonly quotas?: readonly (readonly ChannelQuota[])[];
  };

/** A block that stays as it is. */
const UNTOUCHED: ShedBlock = { marks: Marks.none, values: new Map() };

/**
 * Sheds what is allotted, block after block: each is judged by, and makes up for, what comes out of the blocks before it as they
 * now are. Writes every mask and replacement of `shedPlan`, and returns the plates that have gone. Where a block has fewer plates
 * that may go than are allotted, the blocks after it stay as they are, and the proposal has a limit. One block is resident.
 */
export async function shedWidths(rules: Widths, context: EditContext): Promise<Proposal> {
  const { model, report, signal } = context;
  const graph = plateGraph(model.decoder);
  const states = await calibrationStates(context);
  let marks = Marks.none;
  let limit: string | undefined;
  try {
    const total = model.decoder.blocks.length;
    for (let index = 0; index < total; index += 1) {
      stopIfAborted(signal);
      const shed = limit === undefined ? await shedBlock(blockRules(rules, graph, index), states, context) : UNTOUCHED;
      limit ??= shed.limit;
      if (index + 1 < total && limit === undefined) {
        await advanceStates(withShed(model, graph, shed), index, states, context);
      }
      await writeBlock({ graph, index, shed, rules }, context);
      marks = marks.with(shed.marks);
      report({ type: 'progress', stage: 'shed', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states.close();
  }
  return { marks, ...(limit !== undefined && { limit }) };
}

function blockRules({ quotas, ...rules }: Widths, graph: PlateGraph, index: number): BlockShedding {
  const own = quotas?.[index];
  return { ...rules, graph, index, ...(own && { quotas: own }) };
}

interface DoneBlock {
  readonly graph: PlateGraph;
  readonly index: number;
  readonly shed: ShedBlock;
}

async function writeBlock(
  { graph, index, shed, rules }: DoneBlock & { readonly rules: WidthRules },
  { model, writer }: EditContext,
): Promise<void> {
  const { checkpoint } = model;
  const replaced = replacedTensors(graph, checkpoint, index, rules);
  for (const { name, byteLength } of replaced.values()) {
    const made = shed.values.get(name)?.bytes;
    // A bias that is yet to be added, and of which nothing is needed.
    const unchanged = checkpoint.tensors.has(name) ? chunksOf(checkpoint, name) : [new Uint8Array(byteLength)];
    let offset = 0;
    for await (const bytes of made === undefined ? unchanged : [made]) {
      await writer.writeValues(name, offset, bytes);
      offset += bytes.length;
    }
  }
  await writeBlockMasks({ graph, index, marks: shed.marks }, writer, replaced);
}
