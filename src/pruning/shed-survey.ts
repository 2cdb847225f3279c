import { stopIfAborted } from '../errors.js';
import { type HiddenStates, runBlocks } from '../model/index.js';
import { holdsIndex, type PlateGraph } from '../plates/index.js';
import {
  type Curve,
  emptyAllotment,
  evenFraction,
  judgedBy,
  readWeight,
  roundedRemoval,
  type Share,
  type Stock,
  stocksOf,
} from '../shedding/index.js';
import { advanceStates, calibrationStates } from './calibration-states.js';
import { contestBatches } from './candidate-contest.js';
import type { EditContext } from './edit.js';
import { meanDivergences } from './mean-divergences.js';
import { removalsOf } from './removal-rounds.js';
import { type BlockShedding, shedBlock, withShed } from './shed-block.js';
import { consumersOf, statisticsOf } from './shed-consumers.js';

/** What is to be surveyed, and how it would be shed. */
interface SurveyRules extends Pick<BlockShedding, 'compensation' | 'aggressiveness'> {
  readonly graph: PlateGraph;
  readonly share: Share;
}

/**
 * What every block's plates would cost the model's predictions, in the order in which they would go. The errors of a block's
 * outputs say in which order; how much they matter is measured: the even share is shed of each block alone, folded as it would
 * be, and the mean KL divergence from the model as it is gives the price of an error there. One block's weights and Gram
 * matrices are resident.
 */
export async function surveyCurves(rules: SurveyRules, context: EditContext): Promise<Curve[]> {
  const { model, report, signal } = context;
  const stocks = stocksOf(rules.graph, rules.share);
  const batches = contestBatches(model, context);
  const reference = await runBlocks(model, batches, context);
  const curves: Curve[] = [];
  try {
    const states = await calibrationStates(context);
    try {
      const total = model.decoder.blocks.length;
      for (let index = 0; index < total; index += 1) {
        stopIfAborted(signal);
        for (const stock of stocks.filter(({ block }) => block === index)) {
          curves.push(await curveOf({ ...rules, stock, reference }, states, context));
        }
        if (index + 1 < total) await advanceStates(model, index, states, context);
        report({ type: 'progress', stage: 'survey', done: index + 1, total, unit: 'blocks' });
      }
    } finally {
      await states.close();
    }
  } finally {
    await reference.close();
  }
  return curves;
}

interface StockSurvey extends SurveyRules {
  readonly stock: Stock;
  /** The hidden states behind the last block of the model as it is. */
  readonly reference: HiddenStates;
}

async function curveOf(survey: StockSurvey, states: HiddenStates, context: EditContext): Promise<Curve> {
  const { stock, graph, share } = survey;
  const already = context.marks.indices(stock.kind, stock.block).reduce((sum, { count }) => sum + count, 0);
  const errors = await errorsOf(survey, states, context);
  const even = Math.max(
    roundedRemoval(stock, evenFraction(graph, share) * stock.count),
    already + stock.step * stock.families,
  );
  const probed = Math.min(even - already, errors.length);
  if (probed === 0) return { stock, already, errors: [] };
  const divergence = await divergenceWithout(survey, { plates: already + probed, states }, context);
  const measured = errors.slice(0, probed).reduce((sum, error) => sum + error, 0);
  // A share without any error has no price: whatever else it costs is in no order.
  const price = measured > 0 ? Math.max(0, divergence) / measured : 1;
  return { stock, already, errors: errors.map((error) => price * error) };
}

/** Mean KL from the model as it is, in nats, when so many plates of one stock are shed. */
async function divergenceWithout(
  survey: StockSurvey,
  { plates, states }: { readonly plates: number; readonly states: HiddenStates },
  context: EditContext,
): Promise<number> {
  const { graph, stock, reference } = survey;
  const { model, device, signal } = context;
  const allotment = emptyAllotment(graph);
  allotment[stock.kind][stock.block] = plates;
  const shed = await shedBlock({ ...survey, index: stock.block, allotment }, states, context);
  const without = await runBlocks(withShed(model, graph, shed), reference.batches, context);
  try {
    const sides = { base: { model, states: reference }, now: { model, states: [without] } };
    const [divergence] = await meanDivergences(sides, { device, ...(signal && { signal }) });
    return divergence!;
  } finally {
    await without.close();
  }
}

/** Errors of a stock's removals in order; of experts side by side, as each loses as many channels as the others. */
async function errorsOf(survey: StockSurvey, states: HiddenStates, context: EditContext): Promise<number[]> {
  const { graph, stock, compensation } = survey;
  const consumers = consumersOf(graph, stock.block, stock.kind);
  const inputs = { index: stock.block, consumers, compensation };
  const statistics = await statisticsOf(context.model, inputs, states, context);
  const out = [context.marks, context.spared].map((plates) => plates.indices(stock.kind, stock.block));
  const perFamily: number[][] = [];
  for (const { spec, sets, first } of consumers) {
    const weight = await readWeight(context.model.checkpoint, spec);
    const candidates = sets.filter((_, set) => !out.some((ranges) => holdsIndex(ranges, first + set)));
    const most = Math.max(0, candidates.length - stock.step);
    const columns = { weight, gram: judgedBy(statistics.get(spec.input)!, compensation), sets: candidates };
    const order = await removalsOf(columns, { count: most, compensation }, { ...context, name: spec.weight });
    perFamily.push(order.map(({ error }) => error));
  }
  const shortest = Math.min(...perFamily.map(({ length }) => length));
  return Array.from({ length: shortest }, (_, i) => perFamily.map((errors) => errors[i]!)).flat();
}
