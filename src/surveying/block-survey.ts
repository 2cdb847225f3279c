import type { Report } from '../events.js';
import { type BlockEvidence, collectEvidence, collectExpertOutputs, type Gram } from '../evidence/index.js';
import type { ImportanceMetric } from '../importance/index.js';
import { type HiddenStates, type LinearInput, type LinearSpec, type LoadedBlock, runBlock } from '../model/index.js';
import {
  type AxisSums,
  type ChannelActivity,
  groupRedundancy,
  type PlateGraph,
  type PlateRange,
  type Redundancy,
  ResidualSquares,
} from '../plates/index.js';
import type { Device } from '../tensor/index.js';
import { type Found, forwardKinds, scoreLinear } from './linear-evidence.js';

/** Widths from which on redundancy is not looked for: its cost grows with the cube, and at 4096 it is half a minute. */
export const MOST_REDUNDANCY_COLUMNS = 4096;

/** What was found of one block. */
export interface BlockSurvey {
  /** Sums of the metric's scores, by the stored name of the weight. */
  readonly sums: ReadonlyMap<string, AxisSums>;
  /** What the calibration text showed of the plates that pass activations on; empty without text. */
  readonly activities: readonly ChannelActivity[];
  /** Which channels and heads are combinations of others of their network or attention; empty without text. */
  readonly redundancies: readonly { readonly range: PlateRange; readonly redundancy: Redundancy }[];
  /** What each expert of a block adds to the residual stream; empty without text, and in models without experts. */
  readonly expertOutputs: readonly ExpertOutputs[];
}

/** Σ share · ‖expert(x)‖ over the calibration tokens, of consecutive experts. */
export interface ExpertOutputs {
  readonly range: PlateRange;
  readonly weighted: Float64Array;
}

export interface BlockContext {
  readonly graph: PlateGraph;
  readonly metric: ImportanceMetric;
  readonly device: Device;
  readonly report: Report;
  readonly signal?: AbortSignal;
}

/** A linear that reads the outputs of consecutive plates of its block, `size` columns each. */
interface Reader {
  readonly spec: LinearSpec;
  readonly range: PlateRange;
  readonly size: number;
}

/**
 * Scores a block's weights and looks at what passes through it. With states, they are the calibration windows before the block
 * and become those behind it; the block runs as it is. `scored`: sums that are known already.
 */
export async function surveyBlock(
  block: LoadedBlock,
  states: HiddenStates | undefined,
  scored: ReadonlyMap<string, AxisSums> | undefined,
  context: BlockContext,
): Promise<BlockSurvey> {
  if (states === undefined) {
    const sums = scored ?? (await scoreAll(block, {}, context));
    return { sums, activities: [], redundancies: [], expertOutputs: [] };
  }
  const residual = await residualActivity(block.spec.index, states, context.graph);
  const readers = readersOf(context.graph, block.spec.index);
  const stop = context.signal && { signal: context.signal };
  const kinds = new Set([...forwardKinds(context.metric), 'norms' as const]);
  const { device } = context;
  const forward = await collectEvidence(block, states, kinds, { device, ...stop });
  try {
    const sums = scored ?? (await scoreAll(block, { forward }, context));
    const activities = [residual, ...(await activitiesOf(readers, forward, device))];
    const redundancies = await redundanciesOf(block, states, readers, context);
    const expertOutputs = await expertOutputsOf(block, states, context);
    await runBlock(block, states, device, { store: true, ...stop });
    return { sums, activities, redundancies, expertOutputs };
  } finally {
    forward.dispose();
  }
}

async function expertOutputsOf(
  block: LoadedBlock,
  states: HiddenStates,
  { graph, device, signal }: BlockContext,
): Promise<ExpertOutputs[]> {
  const range = graph.ranges('expert').find((candidate) => candidate.block === block.spec.index);
  if (range === undefined) return [];
  const outputs = await collectExpertOutputs(block, states, { device, ...(signal && { signal }) });
  return [{ range, weighted: Float64Array.from(outputs, ({ weighted }) => weighted) }];
}

/** The sums of the metric's scores of all linears of a block. */
export async function scoreAll(
  block: LoadedBlock,
  found: Found,
  { metric, device }: Pick<BlockContext, 'metric' | 'device'>,
): Promise<ReadonlyMap<string, AxisSums>> {
  const sums = new Map<string, AxisSums>();
  for (const [name, linear] of block.linears) sums.set(name, await scoreLinear(metric, linear, found, device));
  return sums;
}

async function residualActivity(index: number, states: HiddenStates, graph: PlateGraph): Promise<ChannelActivity> {
  const squares = new ResidualSquares(graph.decoder.hidden);
  for (const [i, batch] of states.batches.entries()) squares.add(await states.load(i), batch);
  const [range] = graph.ranges('hidden');
  return { range: range!, ...squares.finish(), where: `the residual stream before block ${index}` };
}

/** What reads the channels of a block's networks and the heads of its attention. */
function readersOf(graph: PlateGraph, block: number): Reader[] {
  const { linears } = graph.decoder.blocks[block]!;
  const groups = graph.count('kv-group', block);
  const attention = linears
    .filter(({ role }) => role === 'o')
    .map((spec): Reader => {
      return { spec, range: { kind: 'kv-group', block, start: 0, count: groups }, size: spec.columns / groups };
    });
  const families = graph.families('ffn-channel', block);
  const networks = linears
    .filter(({ role }) => role === 'down')
    .map((spec, i): Reader => {
      return { spec, range: { kind: 'ffn-channel', block, ...families[i]! }, size: 1 };
    });
  return [...attention, ...networks];
}

async function activitiesOf(
  readers: readonly Reader[],
  forward: BlockEvidence,
  device: Device,
): Promise<ChannelActivity[]> {
  const activities: ChannelActivity[] = [];
  for (const { spec, range, size } of readers) {
    const columns = (await device.read(forward.normsOf(spec.input))) as Float32Array;
    const norms = Float64Array.from({ length: range.count }, (_, i) => {
      return Math.hypot(...columns.subarray(i * size, (i + 1) * size));
    });
    activities.push({ range, norms, where: `what ${spec.weight} reads` });
  }
  return activities;
}

/** One Gram matrix at a time: of many experts, all together would be as large as the block many times over. */
async function redundanciesOf(
  block: LoadedBlock,
  states: HiddenStates,
  readers: readonly Reader[],
  { device, report, signal }: BlockContext,
): Promise<BlockSurvey['redundancies']> {
  const found: { range: PlateRange; redundancy: Redundancy }[] = [];
  for (const { spec, range, size } of readers) {
    if (spec.columns > MOST_REDUNDANCY_COLUMNS) {
      const message = `Redundancy of what ${spec.weight} reads was not looked for: its ${spec.columns} columns are above ${MOST_REDUNDANCY_COLUMNS}.`;
      report({ type: 'notice', message });
      continue;
    }
    const gram = await gramOf(block, states, spec.input, { device, ...(signal && { signal }) });
    found.push({ range, redundancy: groupRedundancy(gram, size) });
  }
  return found;
}

async function gramOf(
  block: LoadedBlock,
  states: HiddenStates,
  input: LinearInput,
  options: { readonly device: Device; readonly signal?: AbortSignal },
): Promise<Gram> {
  const evidence = await collectEvidence(block, states, new Set(['gram']), { ...options, inputs: new Set([input]) });
  return evidence.takeGram(input);
}
