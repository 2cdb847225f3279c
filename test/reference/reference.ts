import { LINEARS, type LinearName, type ReferenceModel, type Weight } from './load.js';
import { openPool, type Pool } from './pool.js';
import { INPUT_OF, importance, keepMask, type Method } from './pruning.js';
import { alps, refit, sparseGpt } from './second-order.js';
import type { Squares } from './worker.js';

interface PrunedLinear {
  readonly scores: Float64Array;
  readonly keep: Uint8Array;
}

export type PrunedBlock = Readonly<Record<LinearName, PrunedLinear>>;

export interface PruneSettings {
  readonly method: Method;
  /** "50%" or "2:4". */
  readonly pattern: string;
  /** Calibration windows, all of one length. */
  readonly windows: readonly Int32Array[];
  readonly threads: number;
  /** The first blocks only; all by default. */
  readonly blocks?: number;
  /** Looks at each block's scores and masks. */
  readonly onBlock?: (index: number, block: PrunedBlock) => void;
}

/**
 * Prunes the model in place, block by block: a block's input norms are taken while it is dense, on what the pruned
 * blocks before it give; then it is pruned and its outputs computed anew.
 */
export async function pruneReference(model: ReferenceModel, settings: PruneSettings): Promise<void> {
  const { method, windows } = settings;
  const hidden = windows.map((ids) => new Float64Array(new SharedArrayBuffer(ids.length * model.hidden * 8)));
  const calibrated = method !== 'magnitude';
  const blocks = settings.blocks ?? model.blocks.length;
  const pool = openPool({ model, passages: windows, hidden }, calibrated ? settings.threads : 0);
  try {
    if (calibrated) await pool.run({ kind: 'embed', block: 0 });
    for (let index = 0; index < blocks; index++) {
      const squares = method === 'wanda' ? await inputSums(pool, 'squares', index) : undefined;
      const grams = calibrated && method !== 'wanda' ? await inputSums(pool, 'grams', index) : undefined;
      const pruned = pruneBlock(model, index, { ...settings, squares, grams });
      settings.onBlock?.(index, pruned);
      // Nothing reads what the last block gives.
      if (calibrated && index + 1 < blocks) await pool.run({ kind: 'run', block: index });
    }
  } finally {
    await pool.close();
  }
}

/** Squares or Gram matrices of a block's inputs, summed over all passages. */
async function inputSums(pool: Pool, kind: 'squares' | 'grams', block: number): Promise<Squares> {
  const answers = await pool.run({ kind: kind === 'grams' ? 'grams' : 'statistics', block });
  const [first, ...rest] = answers.map((answer) => answer[kind]!);
  for (const sums of rest) {
    for (const input of ['attention', 'output', 'ffn', 'down'] as const) {
      for (const [i, value] of sums[input].entries()) first![input][i]! += value;
    }
  }
  return first!;
}

interface Known {
  readonly method: Method;
  readonly pattern: string;
  readonly squares: Squares | undefined;
  readonly grams: Squares | undefined;
}

function pruneBlock(model: ReferenceModel, index: number, known: Known): PrunedBlock {
  const pruned = LINEARS.map((name) => [name, pruneLinear(name, model.blocks[index]!.linears[name], known)]);
  return Object.fromEntries(pruned) as Record<LinearName, PrunedLinear>;
}

function pruneLinear(name: LinearName, weight: Weight, { method, pattern, squares, grams }: Known): PrunedLinear {
  const dense = weight.values.slice();
  const gram = grams?.[INPUT_OF[name]];
  if (method === 'sparsegpt' || method === 'sparsegpt + refit') {
    const keep = sparseGpt(weight, gram!, pattern);
    if (method === 'sparsegpt + refit') refit(weight, dense, gram!, keep, 10);
    return { scores: new Float64Array(), keep };
  }
  if (method === 'alps') return { scores: new Float64Array(), keep: alps(weight, gram!, pattern) };
  const diagonal = gram?.filter((_, i) => i % (weight.columns + 1) === 0);
  const ranking = method === 'wanda + refit' ? 'wanda' : method;
  const scores = importance(weight, ranking, squares?.[INPUT_OF[name]] ?? diagonal ?? new Float64Array());
  const keep = keepMask(scores, weight, ranking, pattern);
  for (let i = 0; i < keep.length; i++) if (keep[i] === 0) weight.values[i] = 0;
  if (method === 'wanda + refit') refit(weight, dense, gram!, keep, 20);
  return { scores, keep };
}

export interface ReferenceFigures {
  readonly perplexity: number;
  readonly accuracy: number;
  readonly tokens: number;
}

/** exp(total loss / scored tokens) and the share of right arg-max predictions. */
export async function evaluateReference(
  model: ReferenceModel,
  passages: readonly Int32Array[],
  threads: number,
): Promise<ReferenceFigures> {
  const pool = openPool({ model, passages }, threads);
  try {
    let tokens = 0;
    let loss = 0;
    let correct = 0;
    for (const { score } of await pool.run({ kind: 'score' })) {
      tokens += score!.tokens;
      loss += score!.loss;
      correct += score!.correct;
    }
    return { perplexity: Math.exp(loss / tokens), accuracy: correct / tokens, tokens };
  } finally {
    await pool.close();
  }
}
