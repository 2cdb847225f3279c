import type { LinearSpec } from '../model/index.js';
import type { PlateGraph } from './graph.js';
import type { PlateKind, PlateRange, PlateSlice } from './plate.js';

/** Sums of one stored matrix's scores along each of its axes: [stored rows] and [stored columns], float64. */
export type AxisSums = readonly [Float64Array, Float64Array];

/**
 * Adds up the scores of a linear's weights, [rows, columns] = [out, in] as every metric gives them; the sums are those of the
 * matrix as it is stored.
 */
export function axisSums(scores: Float32Array, { rows, columns, layout }: LinearSpec): AxisSums {
  const [byRow, byColumn] = [new Float64Array(rows), new Float64Array(columns)];
  for (let row = 0; row < rows; row += 1) {
    let sum = 0;
    for (let column = 0, at = row * columns; column < columns; column += 1, at += 1) {
      const score = scores[at]!;
      sum += score;
      byColumn[column]! += score;
    }
    byRow[row] = sum;
  }
  return layout === 'in-out' ? [byColumn, byRow] : [byRow, byColumn];
}

/**
 * Which of a plate's coupled slices count. `coupled`: all, as where scores estimate a loss that adds up (LLM-Pruner's sum over
 * the group). `reads`: those through which the rest of the model reads the plate (columns of `o` and `down`; for a hidden
 * dimension the columns of what reads the residual stream), as for methods that score activations (Minitron, FLAP).
 */
export type Counted = 'coupled' | 'reads';

/** How many slices' scores make one plate's: their sum, or the mean over their rows or columns (FLAP's heads). */
export type Aggregate = 'sum' | 'mean';

export interface ScoreRule {
  readonly counted: Counted;
  readonly aggregate: Aggregate;
}

/** The scores of consecutive plates; sums by stored tensor, and tensors without any (norms, biases) count nothing. */
export function plateScores(
  graph: PlateGraph,
  range: PlateRange,
  sums: ReadonlyMap<string, AxisSums>,
  rule: ScoreRule,
): Float64Array {
  const scores = new Float64Array(range.count);
  const { start, count, ...place } = range;
  for (let i = 0; i < count; i += 1) {
    const slices = graph.slicesOf({ ...place, start: start + i, count: 1 });
    const counted = slices.filter((slice) => sums.has(slice.tensor) && counts(graph, range.kind, slice, rule));
    let lines = 0;
    for (const { tensor, axis, start: from, count: length } of counted) {
      const line = sums.get(tensor)![axis];
      for (let j = from; j < from + length; j += 1) scores[i]! += line[j]!;
      lines += length;
    }
    if (rule.aggregate === 'mean' && lines > 0) scores[i]! /= lines;
  }
  return scores;
}

function counts(graph: PlateGraph, kind: PlateKind, { tensor, axis }: PlateSlice, { counted }: ScoreRule): boolean {
  if (counted === 'coupled') return true;
  const linear = graph.linears.get(tensor);
  if (linear === undefined) return false;
  const writes = linear.role === 'o' || linear.role === 'down';
  if (kind !== 'hidden') return writes;
  return !writes && axis === (linear.layout === 'in-out' ? 0 : 1);
}
