import type { LinearSpec } from '../model/index.js';
import { frozenWeight } from './frozen-weights.js';
import { learntLinear } from './learnt.js';
import type { HealSettings, LearntFactors, TrainState } from './types.js';

/**
 * The new values of a linear, [rows, columns]: M ⊙ (W + ΔW) where `masked`, M being where W is not 0; W + ΔW otherwise. The products are
 * added up in double precision and rounded once. A linear that is not learnt comes back as it was.
 */
export function merge(spec: LinearSpec, weight: Float32Array, state: TrainState, settings: HealSettings): Float32Array {
  const learnt = learntLinear(spec, 0, settings);
  if (learnt.intensity <= 0) return weight.slice();
  const base = frozenWeight(weight, spec, settings);
  const merged = new Float32Array(weight.length);
  const found = factors(spec, state, settings);
  const row = new Float64Array(spec.columns);
  for (let r = 0; r < spec.rows; r += 1) {
    const start = r * spec.columns;
    const end = start + spec.columns;
    if (found !== undefined) addRow(row.fill(0), found, r);
    else row.set(arrayOf(state, `${spec.weight}.D`).subarray(start, end));
    for (let i = start; i < end; i += 1) {
      const isKept = !settings.masked || weight[i] !== 0;
      merged[i] = isKept ? base[i]! + row[i - start]! : weight[i]!;
    }
  }
  return merged;
}

/** What was learnt of a linear as an adapter; undefined for one that is not learnt, or where the rank is `full`. */
export function factors(spec: LinearSpec, state: TrainState, settings: HealSettings): LearntFactors | undefined {
  const { arrays, rank, scale, intensity } = learntLinear(spec, 0, settings);
  if (intensity <= 0 || arrays.kind === 'full' || rank === 'full') return undefined;
  return {
    rank,
    left: arrayOf(state, arrays.left).map((value) => value * scale),
    right: arrayOf(state, arrays.right).slice(),
  };
}

/** Adds row r of left · right. */
function addRow(row: Float64Array, { rank, left, right }: LearntFactors, r: number): void {
  for (let k = 0; k < rank; k += 1) {
    const factor = left[r * rank + k]!;
    if (factor === 0) continue;
    const start = k * row.length;
    for (let column = 0; column < row.length; column += 1) row[column]! += factor * right[start + column]!;
  }
}

function arrayOf(state: TrainState, name: string): Float32Array {
  const found = state.arrays.get(name);
  if (found === undefined) throw new RangeError(`the state has no ${name}`);
  return found.values;
}
