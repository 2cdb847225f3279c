import type { LayerPlan } from '../checkpoint/index.js';
import { BirdboneError, stopIfAborted } from '../errors.js';
import { collectExpertOutputs } from '../evidence/index.js';
import { disposeBlock, type Experts, type HiddenStates, loadBlock, type Model } from '../model/index.js';
import { holdsIndex, Marks, type PlateGraph, plateGraph } from '../plates/index.js';
import { blockParameters, refuseUncuttable } from '../shedding/index.js';
import { writeBlockMasks } from './block-masks.js';
import { advanceStates, calibrationStates } from './calibration-states.js';
import type { EditContext, Proposal } from './edit.js';
import { withShed } from './shed-block.js';
import { shedPlan } from './shed-plan.js';
import type { ShedRules } from './shed-settings.js';

/** Every tensor of the blocks is masked: what goes is a fraction of them. */
export function expertsPlan(model: Model): LayerPlan {
  return shedPlan(model, { kinds: [], compensation: 'none' });
}

/**
 * Says before any work whether so many experts can go and the rest be written: as many of every block, since no config has a number
 * for each, and never so many that fewer are left than a token goes through.
 */
export async function checkExperts(model: Model, rules: ShedRules): Promise<readonly string[]> {
  if (rules.shedding !== 'uniform') {
    throw new BirdboneError(
      'usage',
      `--shedding ${rules.shedding} would leave blocks with different numbers of experts, and a config has one number for all.`,
      { suggestions: ['Shed as many of every block: --shedding uniform'] },
    );
  }
  const graph = plateGraph(model.decoder);
  const { count, perToken } = expertsOf(graph);
  const gone = removedExperts(graph, rules.sparsity);
  const each = expertShare(graph) / count;
  if (gone === 0) throw tooLittle(rules.sparsity, each);
  if (count - gone < perToken) throw tooMuch(rules.sparsity, { count, perToken }, each);
  const blocks = graph.decoder.blocks.filter(({ experts }) => experts !== undefined);
  await refuseUncuttable(
    model,
    Marks.of(blocks.map(({ index }) => ({ kind: 'expert', block: index, start: 0, count: gone }))),
  );
  return [];
}

/** Blocks without experts are none of a model that has some in others; all have equally many. Throws `usage` where none has any. */
function expertsOf({ decoder }: PlateGraph): Experts {
  const found = decoder.blocks.find(({ experts }) => experts !== undefined)?.experts;
  if (found !== undefined) return found;
  throw new BirdboneError('usage', `--plates experts: a ${decoder.architecture} model has no experts.`, {
    suggestions: ['Shed channels and heads: --plates auto'],
  });
}

/** The part of the blocks' parameters that all experts are. */
function expertShare(graph: PlateGraph): number {
  const held = graph.ranges('expert').reduce((sum, range) => sum + graph.parametersOf(graph.slicesOf(range)), 0);
  return held / blockParameters(graph);
}

/** How many experts of each block a sparsity is, to the nearest whole one. */
function removedExperts(graph: PlateGraph, sparsity: number): number {
  return Math.round((sparsity / expertShare(graph)) * expertsOf(graph).count);
}

/**
 * Sheds the experts of each block that add least to the residual stream over the calibration text: Σ share · ‖expert(x)‖ over the
 * tokens that the router sends there, with the blocks before as they are by then. Writes the masks of `expertsPlan`, and returns what
 * has gone; fewer than are to go, with a limit, where others are spared.
 */
export async function shedExperts(context: EditContext): Promise<Proposal> {
  const { model, report, signal, writer } = context;
  const graph = plateGraph(model.decoder);
  const wanted = removedExperts(graph, context.target);
  const states = await calibrationStates(context);
  let marks = Marks.none;
  let limit: string | undefined;
  try {
    const total = model.decoder.blocks.length;
    for (let index = 0; index < total; index += 1) {
      stopIfAborted(signal);
      const shed =
        limit === undefined ? await shedOfBlock({ graph, index, wanted }, states, context) : { marks: Marks.none };
      limit ??= shed.limit;
      const now = withShed(model, graph, { marks: shed.marks, values: new Map() });
      if (index + 1 < total && limit === undefined) await advanceStates(now, index, states, context);
      await writeBlockMasks({ graph, index, marks: shed.marks }, writer);
      marks = marks.with(shed.marks);
      report({ type: 'progress', stage: 'shed', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states.close();
  }
  return { marks, ...(limit !== undefined && { limit }) };
}

interface BlockOfExperts {
  readonly graph: PlateGraph;
  readonly index: number;
  /** Experts that are to have gone, with those of earlier waves. */
  readonly wanted: number;
}

async function shedOfBlock(
  { graph, index, wanted }: BlockOfExperts,
  states: HiddenStates,
  { model, marks, spared, device, signal }: EditContext,
): Promise<{ readonly marks: Marks; readonly limit?: string }> {
  const count = graph.count('expert', index);
  const already = marks.indices('expert', index);
  const stay = spared.indices('expert', index);
  const all = Array.from({ length: count }, (_, expert) => expert);
  const left = all.filter((expert) => !holdsIndex(already, expert));
  const still = wanted - (count - left.length);
  if (still <= 0) return { marks: Marks.none };
  const candidates = left.filter((expert) => !holdsIndex(stay, expert));
  const block = await loadBlock(model, index, device);
  try {
    const outputs = await collectExpertOutputs(block, states, { device, ...(signal && { signal }) });
    const least = candidates.sort((a, b) => outputs[a]!.weighted - outputs[b]!.weighted || a - b).slice(0, still);
    const gone = Marks.of(least.map((expert) => ({ kind: 'expert' as const, block: index, index: expert })));
    if (candidates.length >= still) return { marks: gone };
    const limit = `block ${index} has ${candidates.length} experts that may go, and ${still} are wanted: others were found to do harm`;
    return { marks: gone, limit };
  } finally {
    disposeBlock(block);
  }
}

function tooLittle(sparsity: number, each: number): BirdboneError {
  return new BirdboneError('usage', `A sparsity of ${sparsity} is less than half an expert of each block.`, {
    suggestions: [`Shed one of each block: --sparsity ${each.toFixed(4)}`],
  });
}

function tooMuch(sparsity: number, { count, perToken }: Experts, each: number): BirdboneError {
  return new BirdboneError(
    'usage',
    `A sparsity of ${sparsity} would leave a block fewer experts than the ${perToken} that each token goes through.`,
    { suggestions: [`Ask for less: --sparsity ${((count - perToken) * each).toFixed(4)}`] },
  );
}
