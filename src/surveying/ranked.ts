import {
  KINDS_OF_BLOCKS,
  metricRule,
  normalise,
  type PlateGraph,
  type PlateKind,
  type PlateRange,
  plateScores,
} from '../plates/index.js';
import type { BlockSurvey } from './block-survey.js';

/** Consecutive plates and their scores, as the metric gave them and comparable with the other blocks'. */
export interface ScoredRange {
  readonly range: PlateRange;
  readonly raw: Float64Array;
  readonly scores: Float64Array;
  /** Stored numbers that go with each. */
  readonly parameters: Float64Array;
}

/**
 * The scores of all plates of the kinds, from the sums of all blocks; of experts, where the metric is of what comes out of a plate,
 * what they add to the residual stream. Plates of sub-blocks and blocks are compared over the model, the others within their block
 * (see `normalise`).
 */
export function scoreRanges(
  graph: PlateGraph,
  kinds: readonly PlateKind[],
  { sums, expertOutputs }: Pick<BlockSurvey, 'sums' | 'expertOutputs'>,
  metric: string,
): ScoredRange[] {
  const rule = metricRule(metric);
  const outputs = metric === 'activation' ? expertOutputs : [];
  return kinds.flatMap((kind) => {
    const ranges = graph.ranges(kind);
    const raw = ranges.map((range) => {
      const made = kind === 'expert' ? outputs.find((candidate) => candidate.range.block === range.block) : undefined;
      return made?.weighted ?? plateScores(graph, range, sums, rule);
    });
    const together = KINDS_OF_BLOCKS.includes(kind) ? [Float64Array.from(raw.flatMap((scores) => [...scores]))] : raw;
    const normalised = normalise(together, rule.normalisation);
    const scores = KINDS_OF_BLOCKS.includes(kind) ? ranges.map((_, i) => normalised[0]!.slice(i, i + 1)) : normalised;
    return ranges.map((range, i) => {
      return { range, raw: raw[i]!, scores: scores[i]!, parameters: parametersOf(graph, range) };
    });
  });
}

/** Plates of one family are equally large: only the first of each is measured. */
function parametersOf(graph: PlateGraph, range: PlateRange): Float64Array {
  const parameters = new Float64Array(range.count);
  const families =
    range.block === undefined || KINDS_OF_BLOCKS.includes(range.kind)
      ? [range]
      : graph.families(range.kind, range.block);
  for (const { start, count } of families) {
    const first = { ...range, start, count: 1 };
    parameters.fill(graph.parametersOf(graph.slicesOf(first)), start - range.start, start - range.start + count);
  }
  return parameters;
}
