import type { LinearInputs } from '../forward.js';
import type { Block, LinearName, Weight } from '../load.js';
import type { AwqBlock } from './awq.js';
import { roundToNearest } from './rounding.js';

/**
 * SmoothQuant (Xiao et al. 2023, equation 4, α = 0.5) in float64: the inputs behind both norms are divided by
 * √(max |x_j|) / √(max |W_j|), weights are multiplied, and every matrix is rounded to int8 with a scale a row.
 */
export function smoothQuant(block: Block, windows: readonly LinearInputs[]): AwqBlock {
  const { linears } = block;
  const attention = migration(
    windows.map((x) => x.attention),
    [linears.q, linears.k, linears.v],
  );
  const ffn = migration(
    windows.map((x) => x.ffn),
    [linears.gate, linears.up],
  );
  const scales: Partial<Record<LinearName, Float64Array>> = {
    q: attention,
    k: attention,
    v: attention,
    gate: ffn,
    up: ffn,
  };
  const rounded = Object.entries(linears).map(([name, weight]) => {
    const own = scales[name as LinearName];
    const values = weight.values.map((value, i) => value * (own?.[i % weight.columns] ?? 1));
    return [name, roundToNearest({ ...weight, values }, { bits: 8 })];
  });
  return {
    rounded: Object.fromEntries(rounded) as AwqBlock['rounded'],
    attentionNorm: block.attentionNorm.map((gain, j) => gain / attention[j]!),
    ffnNorm: block.ffnNorm.map((gain, j) => gain / ffn[j]!),
  };
}

function migration(inputs: readonly Float64Array[], weights: readonly Weight[]): Float64Array {
  const n = weights[0]!.columns;
  const largest = (lists: readonly Float64Array[]) => {
    const most = new Float64Array(n);
    for (const values of lists) {
      for (let i = 0; i < values.length; i++) most[i % n] = Math.max(most[i % n]!, Math.abs(values[i]!));
    }
    return most;
  };
  const [x, w] = [largest(inputs), largest(weights.map(({ values }) => values))];
  return x.map((most, j) => Math.sqrt(most) / Math.sqrt(w[j]!));
}
