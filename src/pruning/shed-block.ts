import { type MemoryValues, memoryLayer, overlay } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { collectEvidence } from '../evidence/index.js';
import {
  disposeBlock,
  type HiddenStates,
  type LinearInput,
  type LinearSpec,
  loadBlock,
  type Model,
  withCheckpoint,
} from '../model/index.js';
import { holdsIndex, Marks, type PlateGraph, Protections, protectOutliers, zeroMasks } from '../plates/index.js';
import {
  type Allotment,
  type ColumnSets,
  type Compensation,
  foldColumns,
  type Removal,
  readWeight,
  removalOrder,
  storedWeight,
  type WidthKind,
} from '../shedding/index.js';
import type { Gram } from '../solvers/index.js';
import type { EditContext } from './edit.js';

/** One block on its way: the plates that it has newly shed, and the linears that make up for them. */
export interface ShedBlock {
  readonly marks: Marks;
  readonly values: ReadonlyMap<string, MemoryValues>;
}

/** What shedding a block is to reach. */
export interface BlockShedding {
  readonly graph: PlateGraph;
  readonly index: number;
  readonly allotment: Allotment;
  readonly compensation: Compensation;
  /** Protected plates are released from their release on; see `Protection`. */
  readonly aggressiveness: number;
}

/** Plates whose removal takes columns of one linear: all groups of an attention, all channels of one network. */
interface Consumer {
  readonly kind: WidthKind;
  readonly spec: LinearSpec;
  /** Index of the first of these plates, among the block's of the kind. */
  readonly first: number;
  /** Columns of each plate. */
  readonly sets: readonly Int32Array[];
}

/** How many times errors are found anew on the way, while that is cheap. */
const ROUNDS = 8;
/** From this width on a round takes minutes, and what one round overlooks is a smaller part of the whole. */
const MOST_COLUMNS_IN_ROUNDS = 2048;

/**
 * Sheds what is allotted to one block, attention first: the network's channels are then judged by, and folded for, the inputs that
 * they will have. `states` are what comes into the block, with all blocks before it as they will be; they are left as they are.
 */
export async function shedBlock(
  shedding: BlockShedding,
  states: HiddenStates,
  context: EditContext,
): Promise<ShedBlock> {
  let marks = Marks.none;
  const values = new Map<string, MemoryValues>();
  for (const kind of ['kv-group', 'ffn-channel'] as const) {
    const consumers = consumersOf(shedding.graph, shedding.index, kind);
    const wanted = consumers.map((consumer) => missing(consumer, shedding, context));
    if (wanted.every((count) => count <= 0)) continue;
    const model = withShed(context.model, shedding.graph, { marks, values });
    const grams = await gramsOf(model, { index: shedding.index, consumers }, states, context);
    for (const [at, consumer] of consumers.entries()) {
      const gram = grams.get(consumer.spec.input)!;
      const weight = await readWeight(model.checkpoint, consumer.spec);
      const found = await chooseAndFold({ consumer, weight, gram, count: wanted[at]! }, shedding, context);
      marks = marks.with(found.marks);
      if (shedding.compensation !== 'none')
        values.set(consumer.spec.weight, storedWeight(model.checkpoint, consumer.spec, found.weight));
    }
  }
  return { marks, values };
}

/** The model with what one block has shed, before any of that is written. */
export function withShed(model: Model, graph: PlateGraph, { marks, values }: ShedBlock): Model {
  const masks = [...zeroMasks(graph, marks)].filter(([name]) => !values.has(name));
  return withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(new Map(masks), values)]));
}

/** The linears whose columns the plates of a kind take. */
export function consumersOf(graph: PlateGraph, index: number, kind: WidthKind): Consumer[] {
  const { linears } = graph.decoder.blocks[index]!;
  const { attention } = graph.blocks[index]!;
  if (kind === 'kv-group') {
    const spec = linears.find(({ role }) => role === 'o');
    if (attention === undefined || spec === undefined) return [];
    return [{ kind, spec, first: 0, sets: evenSets(attention.kvHeads, spec.columns / attention.kvHeads) }];
  }
  const networks = linears.filter(({ role }) => role === 'down');
  const families = graph.families('ffn-channel', index);
  return networks.map((spec, at) => {
    return { kind, spec, first: families[at]!.start, sets: evenSets(spec.columns, 1) };
  });
}

function evenSets(count: number, columns: number): Int32Array[] {
  return Array.from({ length: count }, (_, set) => Int32Array.from({ length: columns }, (__, i) => set * columns + i));
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

/** The Gram matrix of each consumer's input. */
export async function gramsOf(
  model: Model,
  { index, consumers }: { readonly index: number; readonly consumers: readonly Consumer[] },
  states: HiddenStates,
  { device, signal }: EditContext,
): Promise<Map<LinearInput, Gram>> {
  const inputs = new Set(consumers.map(({ spec }) => spec.input));
  const block = await loadBlock(model, index, device);
  try {
    const evidence = await collectEvidence(block, states, new Set(['gram']), {
      device,
      inputs,
      ...(signal && { signal }),
    });
    return new Map([...inputs].map((input) => [input, evidence.takeGram(input)]));
  } finally {
    disposeBlock(block);
  }
}

async function chooseAndFold(
  { consumer, weight, gram, count }: Pick<ColumnSets, 'weight' | 'gram'> & { consumer: Consumer; count: number },
  { index, compensation, aggressiveness }: BlockShedding,
  context: EditContext,
) {
  const { kind, first, sets, spec } = consumer;
  const outliers = outliersOf(consumer, { index, gram }).at(aggressiveness);
  const out = [context.marks, context.spared, outliers].map((plates) => plates.indices(kind, index));
  const candidates = [...sets.keys()].filter((set) => !out.some((ranges) => holdsIndex(ranges, first + set)));
  if (candidates.length < count)
    throw tooFew({ kind, index, count, left: candidates.length, protectedCount: outliers.size });
  const order = await removalsOf(
    { weight, gram, sets: candidates.map((set) => sets[set]!) },
    { count, compensation },
    { ...context, name: spec.weight },
  );
  const chosen = order.map(({ set }) => candidates[set]!);
  const gone = chosen.map((set) => sets[set]!);
  const folded = await foldColumns({ weight, gram }, gone, compensation, workOf(context, spec.weight));
  return {
    marks: Marks.of(chosen.map((set) => ({ kind, block: index, index: first + set }))),
    weight: folded,
  };
}

/** Channels or groups whose activations stand out of all others. */
export function outliersOf(
  { kind, first, sets }: Consumer,
  { index, gram }: { readonly index: number; readonly gram: Gram },
): Protections {
  const norms = Float64Array.from(sets, (set) =>
    Math.sqrt(set.reduce((sum, column) => sum + gram.values[column * gram.columns + column]!, 0)),
  );
  const range = { kind, block: index, start: first, count: sets.length };
  return new Protections(protectOutliers({ range, norms, where: `block ${index}` }));
}

function tooFew(found: {
  readonly kind: WidthKind;
  readonly index: number;
  readonly count: number;
  readonly left: number;
  readonly protectedCount: number;
}): BirdboneError {
  const { kind, index, count, left, protectedCount } = found;
  return new BirdboneError(
    'unsupported',
    `Block ${index} has ${left} plates of kind ${kind} that may go, and ${count} are wanted: ${protectedCount} are protected outliers, others were found to do harm.`,
    { suggestions: ['Shed less: --sparsity 0.1', 'Release more of what is protected: --aggressiveness 100%'] },
  );
}

/** `removalOrder` in as many rounds as the width allows. */
export function removalsOf(
  sets: ColumnSets,
  { count, compensation }: { readonly count: number; readonly compensation: Compensation },
  context: Pick<EditContext, 'device' | 'report'> & { readonly name: string },
): Promise<Removal[]> {
  const rounds = sets.weight.columns <= MOST_COLUMNS_IN_ROUNDS ? ROUNDS : 1;
  return removalOrder(sets, { count, rounds, compensation }, workOf(context, context.name));
}

function workOf({ device, report }: Pick<EditContext, 'device' | 'report'>, name: string) {
  return { device, report, name };
}
