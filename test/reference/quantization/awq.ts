import type { LinearInputs } from '../forward.js';
import type { Block, LinearName, ReferenceModel, Weight } from '../load.js';
import { attentionHalf, feedForwardHalf } from './halves.js';
import { type ReferenceScheme, type Rounded, roundToNearest } from './rounding.js';

/**
 * AWQ in float64 from the paper (Lin et al. 2023) with the search of its authors' code: scales x^r / (w^(1 − r) + 1e−4) for r = 0, 0.05 …
 * 0.95 and none at all, by the squared error of what the half of the block gives; then clipping by 0 … 45 %, not of q and k. All
 * searches look at the block as it is. With grouped queries v → o is left out. Nothing is shared with src/.
 */
export interface AwqEvidence {
  /** Inputs of the block's linears, a set for each window. */
  readonly windows: readonly LinearInputs[];
  /** Windows that scales are compared on: the first so many. */
  readonly searched: number;
  readonly grams: Readonly<Record<keyof LinearInputs, Float64Array>>;
}

export interface AwqBlock {
  readonly rounded: Readonly<Record<LinearName, Rounded>>;
  readonly attentionNorm: Float64Array;
  readonly ffnNorm: Float64Array;
}

export function awq(model: ReferenceModel, block: Block, evidence: AwqEvidence, scheme: ReferenceScheme): AwqBlock {
  const { linears } = block;
  const searched = evidence.windows.slice(0, evidence.searched);
  const attention = search(['q', 'k', 'v'], 'attention', (parts) => {
    return halfError(
      searched.map((x) => x.attention),
      (x, own) => attentionHalf(model, own, x),
      parts,
    );
  });
  const feedForward = search(['gate', 'up'], 'ffn', (parts) => {
    return halfError(
      searched.map((x) => x.ffn),
      (x, own) => feedForwardHalf(own, x),
      parts,
    );
  });
  const down = search(['down'], 'down', (parts) => gramError(linears.down, parts.down!, evidence.grams.down));

  function search(
    names: readonly LinearName[],
    input: keyof LinearInputs,
    errorOf: (parts: Partial<Record<LinearName, Weight>>) => number,
  ): Float64Array {
    const xMean = columnMeans(
      evidence.windows.map((x) => x[input]),
      linears[names[0]!].columns,
    );
    const wMean = relativeMeans(
      names.map((name) => linears[name]),
      scheme,
    );
    let best: { error: number; scales: Float64Array } = { error: Number.POSITIVE_INFINITY, scales: new Float64Array() };
    for (const scales of candidates(xMean, wMean)) {
      const parts = Object.fromEntries(names.map((name) => [name, roundedScaled(linears[name], scales, scheme)]));
      const error = errorOf(parts);
      if (error < best.error) best = { error, scales };
    }
    return best.scales;
  }

  function halfError(
    inputs: readonly Float64Array[],
    half: (x: Float64Array, own: Block['linears']) => Float64Array,
    parts: Partial<Record<LinearName, Weight>>,
  ): number {
    let error = 0;
    for (const x of inputs) {
      const before = outputs.get(x) ?? half(x, linears);
      outputs.set(x, before);
      const after = half(x, { ...linears, ...parts });
      for (let i = 0; i < after.length; i++) error += (after[i]! - before[i]!) ** 2;
    }
    return error;
  }

  const scaleOf: Record<LinearName, { columns?: Float64Array; rows?: Float64Array; input: keyof LinearInputs }> = {
    q: { columns: attention, input: 'attention' },
    k: { columns: attention, input: 'attention' },
    v: { columns: attention, input: 'attention' },
    o: { input: 'output' },
    gate: { columns: feedForward, input: 'ffn' },
    up: { columns: feedForward, rows: down, input: 'ffn' },
    down: { columns: down, input: 'down' },
  };
  const rounded = Object.entries(scaleOf).map(([name, { columns, rows, input }]) => {
    const weight = scaled(linears[name as LinearName], columns, rows);
    const gram = scaledGram(evidence.grams[input], weight.columns, columns);
    const cut = name === 'q' || name === 'k' ? weight : clip(weight, gram, scheme);
    return [name, roundToNearest(cut, scheme)];
  });
  return {
    rounded: Object.fromEntries(rounded) as Record<LinearName, Rounded>,
    attentionNorm: block.attentionNorm.map((gain, j) => gain / attention[j]!),
    ffnNorm: block.ffnNorm.map((gain, j) => gain / feedForward[j]!),
  };
}

/** What the unchanged halves give, by their input. */
const outputs = new WeakMap<Float64Array, Float64Array>();

function* candidates(xMean: Float64Array, wMean: Float64Array): Generator<Float64Array> {
  yield xMean.map(() => 1);
  for (let r = 0; r < 20; r++) {
    const raw = xMean.map((x, j) => Math.max(1e-4, x ** (r / 20) / (wMean[j]! ** (1 - r / 20) + 1e-4)));
    const norm = Math.sqrt(Math.max(...raw) * Math.min(...raw));
    yield raw.map((scale) => scale / norm);
  }
}

function columnMeans(inputs: readonly Float64Array[], n: number): Float64Array {
  const sums = new Float64Array(n);
  let tokens = 0;
  for (const x of inputs) {
    for (let i = 0; i < x.length; i++) sums[i % n]! += Math.abs(x[i]!);
    tokens += x.length / n;
  }
  return sums.map((sum) => sum / tokens);
}

function relativeMeans(weights: readonly Weight[], { group = weights[0]!.columns }: ReferenceScheme): Float64Array {
  const n = weights[0]!.columns;
  const sums = new Float64Array(n);
  let rows = 0;
  for (const { values, rows: count } of weights) {
    rows += count;
    for (let from = 0; from < values.length; from += n) {
      for (let first = 0; first < n; first += group) {
        const part = values.subarray(from + first, from + Math.min(n, first + group));
        const largest = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        part.forEach((value, j) => {
          sums[first + j]! += Math.abs(value) / (largest + 1e-6);
        });
      }
    }
  }
  return sums.map((sum) => sum / rows);
}

function scaled(weight: Weight, columns?: Float64Array, rows?: Float64Array): Weight {
  const values = weight.values.map(
    (value, i) => (value * (columns?.[i % weight.columns] ?? 1)) / (rows?.[Math.floor(i / weight.columns)] ?? 1),
  );
  return { ...weight, values };
}

/** Q(W s) / s. */
function roundedScaled(weight: Weight, scales: Float64Array, scheme: ReferenceScheme): Weight {
  const { values } = roundToNearest(scaled(weight, scales), scheme);
  return { ...weight, values: values.map((value, i) => value / scales[i % weight.columns]!) };
}

function gramError(before: Weight, after: Weight, gram: Float64Array): number {
  const n = before.columns;
  let error = 0;
  for (let from = 0; from < before.values.length; from += n) {
    const change = after.values.subarray(from, from + n).map((value, j) => value - before.values[from + j]!);
    error += quadratic(change, gram, n, 0);
  }
  return error;
}

/** δ G δᵀ of inputs `first` on. */
function quadratic(change: Float64Array, gram: Float64Array, n: number, first: number): number {
  let total = 0;
  for (let i = 0; i < change.length; i++) {
    let sum = 0;
    for (let j = 0; j < change.length; j++) sum += gram[(first + i) * n + first + j]! * change[j]!;
    total += change[i]! * sum;
  }
  return total;
}

function scaledGram(gram: Float64Array, n: number, scales?: Float64Array): Float64Array {
  if (scales === undefined) return gram;
  return gram.map((value, i) => value / (scales[i % n]! * scales[Math.floor(i / n)]!));
}

function clip(weight: Weight, gram: Float64Array, scheme: ReferenceScheme): Weight {
  const { columns: n, values } = weight;
  const group = scheme.group ?? n;
  const result = values.slice();
  for (let from = 0; from < values.length; from += n) {
    for (let first = 0; first < n; first += group) {
      const part = values.subarray(from + first, from + Math.min(n, first + group));
      const largest = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      let best = Number.POSITIVE_INFINITY;
      for (let step = 0; step < 10; step++) {
        const limit = largest * (1 - step * 0.05);
        const cut = part.map((value) => Math.min(limit, Math.max(-limit, value)));
        const rounded = roundToNearest({ rows: 1, columns: part.length, values: cut }, { bits: scheme.bits });
        const error = quadratic(
          rounded.values.map((value, j) => value - part[j]!),
          gram,
          n,
          first,
        );
        if (!(error < best)) continue;
        best = error;
        result.set(cut, from + first);
      }
    }
  }
  return { ...weight, values: result };
}
