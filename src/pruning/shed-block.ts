import {
  type Checkpoint,
  type MemoryValues,
  memoryLayer,
  overlay,
  readFloats,
  type TensorInfo,
} from '../checkpoint/index.js';
import { biasNameOf, type HiddenStates, type LinearSpec, type Model, withCheckpoint } from '../model/index.js';
import { holdsIndex, Marks, type PlateGraph, zeroMasks } from '../plates/index.js';
import {
  type Allotment,
  biasOfColumns,
  type Compensation,
  foldColumns,
  type InputStatistics,
  judgedBy,
  readWeight,
  storedWeight,
  type WidthKind,
} from '../shedding/index.js';
import type { Weight } from '../solvers/index.js';
import { DTYPES, encodeFromF32 } from '../tensor/index.js';
import { type ChannelQuota, chosenByQuota, wholeOrder } from './channel-order.js';
import type { EditContext } from './edit.js';
import { removalsOf, workOf } from './removal-rounds.js';
import { type Consumer, consumersOf, outliersOf, statisticsOf } from './shed-consumers.js';

/** One block on its way: the plates that it has newly shed, and the tensors that make up for them. */
export interface ShedBlock {
  readonly marks: Marks;
  readonly values: ReadonlyMap<string, MemoryValues>;
  /** Why fewer plates have gone than were to go; absent where all have. */
  readonly limit?: string;
}

/** What shedding a block is to reach. */
export interface BlockShedding {
  readonly graph: PlateGraph;
  readonly index: number;
  readonly allotment: Allotment;
  readonly compensation: Compensation;
  /** Protected plates are released from their release on; see `Protection`. */
  readonly aggressiveness: number;
  /** How many channels of each cluster are to be gone of each network of the block; any by default. */
  readonly quotas?: readonly ChannelQuota[];
}

/**
 * Sheds what is allotted to one block, attention first: the network's channels are then judged by, and made up for by, the inputs that
 * they will have. Where fewer plates may go than are allotted, those go, and `limit` says so. `states` are what comes into the block,
 * with all blocks before it as they will be; they are left as they are.
 */
export async function shedBlock(
  shedding: BlockShedding,
  states: HiddenStates,
  context: EditContext,
): Promise<ShedBlock> {
  let shed: ShedBlock = { marks: Marks.none, values: new Map() };
  for (const kind of ['kv-group', 'ffn-channel'] as const) {
    const consumers = consumersOf(shedding.graph, shedding.index, kind);
    const wanted = consumers.map((consumer) => missing(consumer, shedding, context));
    if (wanted.every((count) => count <= 0)) continue;
    const model = withShed(context.model, shedding.graph, shed);
    const { index, compensation } = shedding;
    const statistics = await statisticsOf(model, { index, consumers, compensation }, states, context);
    for (const [at, consumer] of consumers.entries()) {
      const input = statistics.get(consumer.spec.input)!;
      shed = joined(
        shed,
        await shedColumns(
          model.checkpoint,
          { consumer, input, count: wanted[at]!, quota: kind === 'ffn-channel' ? shedding.quotas?.[at] : undefined },
          shedding,
          context,
        ),
      );
    }
  }
  return shed;
}

function joined(first: ShedBlock, second: ShedBlock): ShedBlock {
  const limit = first.limit ?? second.limit;
  return {
    marks: first.marks.with(second.marks),
    values: new Map([...first.values, ...second.values]),
    ...(limit !== undefined && { limit }),
  };
}

/** The model with what one block has shed, before any of that is written. */
export function withShed(model: Model, graph: PlateGraph, { marks, values }: ShedBlock): Model {
  const { tensors } = model.checkpoint;
  const masks = [...zeroMasks(graph, marks)].filter(([name]) => !values.has(name));
  const [stored, added] = [true, false].map((isStored) =>
    [...values].filter(([name]) => tensors.has(name) === isStored),
  );
  const layer = memoryLayer(new Map(masks), new Map(stored), new Map(added));
  return withCheckpoint(model, overlay(model.checkpoint, [layer]));
}

/** How many plates of a consumer are still to go. */
function missing(
  { kind, first, sets }: Consumer,
  { graph, index, allotment }: BlockShedding,
  context: EditContext,
): number {
  const families = kind === 'ffn-channel' ? graph.families(kind, index).length : 1;
  const shed = context.marks.indices(kind, index);
  const already = sets.filter((_, set) => holdsIndex(shed, first + set)).length;
  return allotment[kind][index]! / families - already;
}

interface ColumnShedding {
  readonly consumer: Consumer;
  readonly input: InputStatistics;
  readonly count: number;
  readonly quota: ChannelQuota | undefined;
}

async function shedColumns(
  checkpoint: Checkpoint,
  { consumer, input, count, quota }: ColumnShedding,
  { index, compensation, aggressiveness }: BlockShedding,
  context: EditContext,
): Promise<ShedBlock> {
  const { kind, first, sets, spec } = consumer;
  const outliers = outliersOf(consumer, { index, gram: input.gram }).at(aggressiveness);
  const out = [context.marks, context.spared, outliers].map((plates) => plates.indices(kind, index));
  const candidates = [...sets.keys()].filter((set) => !out.some((ranges) => holdsIndex(ranges, first + set)));
  const limit = candidates.length < count ? limitOf({ kind, index, count, candidates, outliers }) : undefined;
  const weight = await readWeight(checkpoint, spec);
  const columns = { weight, gram: judgedBy(input, compensation), sets: candidates.map((set) => sets[set]!) };
  const extent = { count: Math.min(count, candidates.length), compensation };
  const ordered = quota === undefined ? removalsOf : wholeOrder;
  const order = (await ordered(columns, extent, { ...context, name: spec.weight })).map(({ set }) => candidates[set]!);
  const shed = [...sets.keys()].filter((set) => holdsIndex(context.marks.indices(kind, index), first + set));
  const chosen = quota === undefined ? order : chosenByQuota(order, quota, { gone: shed, count: extent.count });
  const gone = chosen.map((set) => sets[set]!);
  const values = await madeUp(checkpoint, { spec, weight, input, gone }, compensation, context);
  return {
    marks: Marks.of(chosen.map((set) => ({ kind, block: index, index: first + set }))),
    values: new Map(values.map((value) => [value.info.name, value])),
    ...(limit !== undefined && { limit }),
  };
}

interface Going {
  readonly spec: LinearSpec;
  readonly weight: Weight;
  readonly input: InputStatistics;
  readonly gone: readonly Int32Array[];
}

/** The tensors that make up for columns that go: the linear's weight, or its bias, or none. */
async function madeUp(
  checkpoint: Checkpoint,
  { spec, weight, input, gone }: Going,
  compensation: Compensation,
  context: EditContext,
): Promise<MemoryValues[]> {
  switch (compensation) {
    case 'none':
      return [];
    case 'ls': {
      const folded = await foldColumns({ weight, gram: input.gram }, gone, workOf(context, spec.weight));
      return [storedWeight(checkpoint, spec, folded)];
    }
    case 'flap': {
      const info = biasInfo(checkpoint, spec);
      const before = checkpoint.tensors.has(info.name) ? await readFloats(checkpoint, info.name) : undefined;
      const added = biasOfColumns(weight, input.means!, gone);
      const values = Float32Array.from(added, (value, row) => value + (before?.[row] ?? 0));
      return [{ info, bytes: encodeFromF32(values, info.dtype) }];
    }
  }
}

/** What a linear's bias is, or would be, in the checkpoint: as its weight is stored. */
export function biasInfo({ tensors }: Checkpoint, spec: LinearSpec): TensorInfo {
  const name = biasNameOf(spec);
  const { dtype } = tensors.get(spec.weight)!;
  return tensors.get(name) ?? { name, dtype, shape: [spec.rows], byteLength: (spec.rows * DTYPES[dtype].bits) / 8 };
}

function limitOf(found: {
  readonly kind: WidthKind;
  readonly index: number;
  readonly count: number;
  readonly candidates: readonly number[];
  readonly outliers: Marks;
}): string {
  const { kind, index, count, candidates, outliers } = found;
  return `block ${index} has ${candidates.length} plates of kind ${kind} that may go, and ${count} are wanted: ${outliers.size} are protected outliers (--aggressiveness), others were found to do harm`;
}
