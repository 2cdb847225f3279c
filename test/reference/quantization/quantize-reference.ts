import type { LinearInputs } from '../forward.js';
import { runBlock } from '../forward.js';
import { type Block, LINEARS, type LinearName, type ReferenceModel } from '../load.js';
import { openPool } from '../pool.js';
import { INPUT_OF } from '../pruning.js';
import type { Squares } from '../worker.js';
import { awq } from './awq.js';
import { gptq } from './gptq.js';
import { type ReferenceScheme, type Rounded, roundToNearest } from './rounding.js';
import { smoothQuant } from './smoothquant.js';

export const REFERENCE_ALGORITHMS = ['rtn', 'gptq', 'gptq act-order', 'awq', 'smoothquant'] as const;
export type ReferenceAlgorithm = (typeof REFERENCE_ALGORITHMS)[number];

export type RoundedBlock = Readonly<Record<LinearName, Rounded>>;

export interface QuantizeSettings {
  readonly algorithm: ReferenceAlgorithm;
  readonly scheme: ReferenceScheme;
  /** Calibration windows, all of one length. */
  readonly windows: readonly Int32Array[];
  readonly threads: number;
  /** The first blocks only; all by default. */
  readonly blocks?: number;
  readonly onBlock?: (index: number, block: RoundedBlock) => void;
}

/** Tokens that AWQ's scales are compared on. */
const SEARCH_TOKENS = 8192;

/**
 * Quantizes the model in place, block by block: a block's evidence is taken while it is dense, on what the quantized blocks before
 * it give; then it is quantized and its outputs computed anew.
 */
export async function quantizeReference(model: ReferenceModel, settings: QuantizeSettings): Promise<void> {
  const { algorithm, windows } = settings;
  const isCalibrated = algorithm !== 'rtn';
  const hidden = windows.map((ids) => new Float64Array(new SharedArrayBuffer(ids.length * model.hidden * 8)));
  const blocks = settings.blocks ?? model.blocks.length;
  const pool = openPool({ model, passages: windows, hidden }, isCalibrated ? settings.threads : 0);
  try {
    if (isCalibrated) await pool.run({ kind: 'embed', block: 0 });
    for (let index = 0; index < blocks; index++) {
      const block = model.blocks[index]!;
      const grams = isCalibrated ? sum(await pool.run({ kind: 'grams', block: index })) : undefined;
      const rounded = quantizeBlock({ model, block, grams, hidden }, settings);
      for (const name of LINEARS) block.linears[name].values.set(rounded[name].values);
      settings.onBlock?.(index, rounded);
      // Nothing reads what the last block gives.
      if (isCalibrated && index + 1 < blocks) await pool.run({ kind: 'run', block: index });
    }
  } finally {
    await pool.close();
  }
}

interface Known {
  readonly model: ReferenceModel;
  readonly block: Block;
  readonly grams: Squares | undefined;
  readonly hidden: readonly Float64Array[];
}

function quantizeBlock({ model, block, grams, hidden }: Known, settings: QuantizeSettings): RoundedBlock {
  const { algorithm, scheme } = settings;
  if (algorithm === 'awq' || algorithm === 'smoothquant') {
    const windows: LinearInputs[] = hidden.map((states) => runBlock(model, block, states.slice()));
    const searched = Math.ceil(SEARCH_TOKENS / settings.windows[0]!.length);
    const made =
      algorithm === 'awq'
        ? awq(model, block, { windows, searched, grams: grams! }, scheme)
        : smoothQuant(block, windows);
    block.attentionNorm.set(made.attentionNorm);
    block.ffnNorm.set(made.ffnNorm);
    return made.rounded;
  }
  const rounded = LINEARS.map((name) => {
    const weight = block.linears[name];
    if (algorithm === 'rtn') return [name, roundToNearest(weight, scheme)];
    const actOrder = algorithm === 'gptq act-order';
    return [name, gptq(weight, grams![INPUT_OF[name]], { ...scheme, actOrder })];
  });
  return Object.fromEntries(rounded) as Record<LinearName, Rounded>;
}

function sum(answers: readonly { readonly grams?: Squares }[]): Squares {
  const [first, ...rest] = answers.map(({ grams }) => grams!);
  for (const sums of rest) {
    for (const input of ['attention', 'output', 'ffn', 'down'] as const) {
      for (const [i, value] of sums[input].entries()) first![input][i]! += value;
    }
  }
  return first!;
}
