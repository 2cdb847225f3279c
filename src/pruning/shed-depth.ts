import { BirdboneError } from '../errors.js';
import type { Model } from '../model/index.js';
import { Marks, type PlateGraph, Protections, parsePlateId, plateGraph, protectBoundary } from '../plates/index.js';
import { type DepthBudget, depthBudget, loadsWithout, refuseUncuttable, searchDepth } from '../shedding/index.js';
import { writeBlockMasks } from './block-masks.js';
import { openDepthContest } from './depth-contest.js';
import type { EditContext, Proposal } from './edit.js';
import type { ShedRules } from './shed-settings.js';

/** The outermost blocks, which stay unless aggressiveness releases them. */
const BOUNDARY = { first: 1, last: 1, inside: false } as const;

/**
 * Sheds whole blocks, or halves of blocks where the shedding is not uniform, whose going together changes the model's predictions
 * least. Writes the masks of `shedPlan` without compensation, and returns what has gone in this wave; nothing, and a limit, where too
 * few may go.
 */
export async function shedDepth(rules: ShedRules, context: EditContext): Promise<Proposal> {
  const { model, report, seed = 0 } = context;
  const graph = plateGraph(model.decoder);
  const budget = withoutStaying(depthBudget(graph, context.target, areHalves(rules)), graph, { rules, context });
  if ('limit' in budget) {
    await writeMasks(graph, Marks.none, context);
    return budget;
  }
  const already = [...context.marks.ids()];
  const contest = await openDepthContest(graph, context);
  try {
    const gone = await searchDepth({
      ...budget,
      isLoadable: (set) => loadsWithout(graph, rules.target.rules, new Set([...already, ...set])),
      contest: {
        tokens: contest.tokens,
        divergences: (sets, tokens) =>
          contest.divergences(
            sets.map((set) => new Set([...already, ...set])),
            tokens,
          ),
      },
      seed,
      onStep: (done, total) => report({ type: 'progress', stage: 'search', done, total, unit: 'generations' }),
    });
    if (gone === undefined) throw noneLoads(rules);
    const marks = Marks.of([...gone].map(parsePlateId));
    await writeMasks(graph, marks, context);
    return { marks };
  } finally {
    await contest.close();
  }
}

/** Says before any work whether so much depth can go and the rest be written. */
export async function checkDepth(model: Model, rules: ShedRules): Promise<readonly string[]> {
  const { rules: engine } = rules.target;
  if (areHalves(rules) && engine.unequalBlocks === undefined) {
    throw new BirdboneError(
      'usage',
      `--plates blocks --shedding ${rules.shedding} sheds halves of blocks, which --target ${engine.name} does not load: ${engine.reason}.`,
      { suggestions: ['Shed whole blocks: --shedding uniform', 'Load it elsewhere: --target vllm'] },
    );
  }
  const graph = plateGraph(model.decoder);
  const { counts } = depthBudget(graph, rules.sparsity, areHalves(rules));
  const likely = [...Array(model.decoder.blocks.length).keys()].slice(1, 1 + Math.max(...Object.values(counts)));
  const kind = areHalves(rules) ? 'attention' : 'block';
  await refuseUncuttable(model, Marks.of(likely.map((block) => ({ kind, block, index: block }))));
  return [];
}

function areHalves({ shedding }: ShedRules): boolean {
  return shedding !== 'uniform';
}

/** The budget without what is shed already, is spared, or is protected; why there is none where too few are left. */
function withoutStaying(
  { parts, counts }: DepthBudget,
  graph: PlateGraph,
  { rules, context }: { readonly rules: ShedRules; readonly context: EditContext },
): DepthBudget | { readonly limit: string } {
  const stay = new Protections(protectBoundary(graph, BOUNDARY)).at(rules.aggressiveness).with(context.spared);
  const shed = parts.filter(({ id }) => context.marks.has(id));
  const left = parts.filter(({ id }) => !context.marks.has(id) && !stay.has(id));
  const still = { ...counts };
  for (const { kind } of shed) still[kind] = Math.max(0, still[kind] - 1);
  for (const kind of ['block', 'attention', 'ffn'] as const) {
    const most = left.filter((part) => part.kind === kind).length;
    if (still[kind] > most) return { limit: limitOf(kind, { wanted: still[kind], most }) };
  }
  return { parts: left, counts: still };
}

async function writeMasks(graph: PlateGraph, marks: Marks, { writer }: EditContext): Promise<void> {
  for (const { index } of graph.decoder.blocks) await writeBlockMasks({ graph, index, marks }, writer);
}

function limitOf(kind: string, { wanted, most }: { readonly wanted: number; readonly most: number }): string {
  return `${wanted} plates of kind ${kind} are to go, and ${most} may: the first and last blocks are protected (--aggressiveness), others were found to do harm`;
}

function noneLoads({ target }: ShedRules): BirdboneError {
  return new BirdboneError(
    'unsupported',
    `No set of so many halves of blocks leaves a model that ${target.rules.name} loads.`,
    {
      suggestions: ['Shed whole blocks: --shedding uniform', 'Load it elsewhere: --target vllm'],
    },
  );
}
