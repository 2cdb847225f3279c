import type { LayerPlan } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { Model } from '../model/index.js';
import { Marks, plateGraph, removedSlices, zeroMask } from '../plates/index.js';
import { nearestKept, refuseUncuttable, widthStep } from '../shedding/index.js';
import { fullMask } from '../sparsity/index.js';
import type { EditContext, Proposal } from './edit.js';
import { surveyDimensions } from './hidden-survey.js';
import type { ShedRules } from './shed-settings.js';

/** All tensors that have a hidden dimension: what goes is a fraction of them. */
export function hiddenPlan(model: Model): LayerPlan {
  const graph = plateGraph(model.decoder);
  const masks = [...graph.shapes].map(([name, shape]) => {
    return { name, elements: shape.reduce((product, size) => product * size, 1) };
  });
  return { masks, values: [] };
}

/** Says before any work whether a narrower residual stream can be written and loaded, and what its width will cost. */
export async function checkHidden(model: Model, rules: ShedRules): Promise<readonly string[]> {
  if (rules.shedding !== 'uniform') {
    throw new BirdboneError(
      'usage',
      `--shedding ${rules.shedding} has no effect on hidden dimensions: they are the same in every block.`,
      {
        suggestions: ['Leave --shedding out.'],
      },
    );
  }
  const { hidden } = model.decoder;
  const { step, notice } = widthStep(rules.target, hidden);
  const kept = keptDimensions(hidden, rules.sparsity, rules);
  if (kept === hidden) {
    const least = step / hidden;
    throw new BirdboneError(
      'usage',
      `A sparsity of ${rules.sparsity} is less than half a step: --target ${rules.target.rules.name} takes ${hidden} hidden dimensions in steps of ${step}.`,
      {
        suggestions: [
          ...(least < 1 ? [`Ask for a whole step: --sparsity ${least.toFixed(4)}`] : []),
          'Use another engine: --target hf',
        ],
      },
    );
  }
  await refuseUncuttable(model, Marks.of([{ kind: 'hidden', start: 0, count: hidden - kept }]));
  return notice === undefined ? [] : [notice];
}

function keptDimensions(hidden: number, sparsity: number, { target }: ShedRules): number {
  return nearestKept(hidden, hidden * (1 - sparsity), widthStep(target, hidden).step);
}

/**
 * Sheds the hidden dimensions that count least for everything that reads the residual stream: of each linear behind a norm, and of
 * the head, the part of its output's energy that comes through a dimension, E[x_j²] ‖W_j‖², summed over all of them. Writes the
 * masks of `hiddenPlan`, and returns what has gone; fewer than are to go with a limit that says why. Outliers of the stream stay
 * unless aggressiveness releases them.
 */
export async function shedHidden(rules: ShedRules, context: EditContext): Promise<Proposal> {
  const graph = plateGraph(context.model.decoder);
  const { hidden } = graph.decoder;
  const { importance, stay } = await surveyDimensions(graph, rules.aggressiveness, context);
  const gone = context.marks.with(context.spared);
  const candidates = [...importance.keys()].filter((j) => !gone.has(`hidden:${j}`) && !stay.has(`hidden:${j}`));
  const already = context.marks.indices('hidden').reduce((sum, { count }) => sum + count, 0);
  const count = Math.max(0, hidden - keptDimensions(hidden, context.target, rules) - already);
  const limit = candidates.length < count ? limitOf(count, candidates.length, stay.size) : undefined;
  const least = candidates.sort((a, b) => importance[a]! - importance[b]! || a - b).slice(0, count);
  const marks = Marks.of(least.map((index) => ({ kind: 'hidden' as const, index })));
  const removed = removedSlices(graph, marks);
  for (const [tensor, [rows = 1, columns = 1]] of graph.shapes) {
    const slices = removed.get(tensor);
    await context.writer.writeMask(tensor, slices === undefined ? fullMask(rows, columns).bits : zeroMask(slices));
  }
  return { marks, ...(limit !== undefined && { limit }) };
}

function limitOf(wanted: number, left: number, protectedCount: number): string {
  return `${wanted} hidden dimensions are to go, and ${left} may: ${protectedCount} are protected outliers (--aggressiveness), others were found to do harm`;
}
