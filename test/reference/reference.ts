import { LINEARS, type LinearName, type ReferenceModel } from './load.js';
import { openPool, type Pool } from './pool.js';
import { INPUT_OF, importance, keepMask, type Method } from './pruning.js';
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
  const calibrated = method === 'wanda';
  const blocks = settings.blocks ?? model.blocks.length;
  const pool = openPool({ model, passages: windows, hidden }, calibrated ? settings.threads : 0);
  try {
    if (calibrated) await pool.run({ kind: 'embed', block: 0 });
    for (let index = 0; index < blocks; index++) {
      const squares = calibrated ? await inputSquares(pool, index) : undefined;
      const pruned = pruneBlock(model, index, { ...settings, squares });
      settings.onBlock?.(index, pruned);
      // Nothing reads what the last block gives.
      if (calibrated && index + 1 < blocks) await pool.run({ kind: 'run', block: index });
    }
  } finally {
    await pool.close();
  }
}

async function inputSquares(pool: Pool, block: number): Promise<Squares> {
  const answers = await pool.run({ kind: 'statistics', block });
  const [first, ...rest] = answers.map((answer) => answer.squares!);
  for (const squares of rest) {
    for (const input of ['attention', 'output', 'ffn', 'down'] as const) {
      for (const [i, value] of squares[input].entries()) first![input][i]! += value;
    }
  }
  return first!;
}

function pruneBlock(
  model: ReferenceModel,
  index: number,
  { method, pattern, squares }: { method: Method; pattern: string; squares: Squares | undefined },
): PrunedBlock {
  const pruned = LINEARS.map((name) => {
    const weight = model.blocks[index]!.linears[name];
    const scores = importance(weight, method, squares?.[INPUT_OF[name]] ?? new Float64Array());
    const keep = keepMask(scores, weight, method, pattern);
    for (let i = 0; i < keep.length; i++) if (keep[i] === 0) weight.values[i] = 0;
    return [name, { scores, keep }];
  });
  return Object.fromEntries(pruned) as Record<LinearName, PrunedLinear>;
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
