import { stopIfAborted } from '../errors.js';
import { collectEvidence, type Gram } from '../evidence/index.js';
import { type Decomposition, decompose, type WeightRows } from '../lowrank/index.js';
import type { HiddenStates, LinearSpec, LoadedBlock } from '../model/index.js';
import { type EditContext, inputGroups } from '../pruning/index.js';
import { weightRows } from './linears.js';

/** What decomposing needs of an edit's context. */
export type FactorizeContext = Pick<
  EditContext,
  'model' | 'device' | 'calibration' | 'memoryBytes' | 'spillFolder' | 'seed' | 'report' | 'signal'
>;

/** A linear, and the directions to find of it at most. */
export interface Wanted {
  readonly spec: LinearSpec;
  readonly maxRank: number;
}

/** What the calibration text shows of a block; absent where the weights alone count. */
export interface BlockText {
  readonly block: LoadedBlock;
  readonly states: HiddenStates;
  /** What is decomposed of a linear; its weight unless given. */
  readonly weightOf?: (spec: LinearSpec) => WeightRows;
}

/**
 * Decomposes linears of one block, one after the other, and hands each to `use` before the next begins. Linears with the same input
 * share its Gram matrix, which is that of the block as it is. The hidden states are left as they were.
 */
export async function decomposeBlock(
  wanted: readonly Wanted[],
  text: BlockText | undefined,
  context: FactorizeContext,
  use: (spec: LinearSpec, decomposition: Decomposition) => Promise<void>,
): Promise<void> {
  const weightOf = text?.weightOf ?? ((spec) => weightRows(context.model.checkpoint, spec));
  const one = async ({ spec, maxRank }: Wanted, gram?: Gram) => {
    stopIfAborted(context.signal);
    await use(spec, await decomposition(weightOf(spec), maxRank, gram, context));
  };
  if (text === undefined) {
    for (const each of wanted) await one(each);
    return;
  }
  const { device, signal } = context;
  for (const inputs of inputGroups(wanted.map(({ spec }) => spec))) {
    const options = { device, inputs, ...(signal && { signal }) };
    const evidence = await collectEvidence(text.block, text.states, new Set(['gram'] as const), options);
    for (const input of inputs) {
      const gram = evidence.takeGram(input);
      for (const each of wanted.filter(({ spec }) => spec.input === input)) await one(each, gram);
    }
    evidence.dispose();
  }
}

/** An expert that no token was sent to has no inputs to be seen on: its weights alone count, and `report` gets a notice. */
function decomposition(
  weight: WeightRows,
  maxRank: number,
  gram: Gram | undefined,
  { device, seed = 0, report, signal }: FactorizeContext,
): Promise<Decomposition> {
  const isSeen = gram !== undefined && gram.tokens > 0;
  if (gram !== undefined && !isSeen) {
    report({
      type: 'notice',
      message: `No token of the calibration text reached ${weight.name}: its weights alone count.`,
    });
  }
  return decompose(weight, { device, maxRank, seed, report, ...(isSeen && { gram }), ...(signal && { signal }) });
}
