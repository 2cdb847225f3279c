import { stopIfAborted } from '../../errors.js';
import {
  createHiddenStates,
  disposeBlock,
  type HiddenStates,
  type LoadedBlock,
  loadBlock,
  runBlock,
} from '../../model/index.js';
import { calibrationStates, meanDivergences, type SettleContext } from '../../pruning/index.js';
import { revisedBlock } from '../revised-block.js';
import { readWeight } from '../stored-order.js';
import { roundTrip } from './output-errors.js';
import type { TriedGroup } from './sensitivity.js';

/** Tokens that predictions are compared on: the first windows of the calibration text that have so many. */
const COMPARED_TOKENS = 2048;

/**
 * Mean KL(model as it is ‖ one group rounded, all else as it is) in nats a token, of each group: what it costs the model's
 * predictions when that group alone is stored so. One block's weights are resident; what each group has changed goes through the
 * blocks behind it. Deterministic.
 */
export async function groupDivergences(
  groups: readonly TriedGroup[],
  options: TryOptions,
  context: SettleContext,
): Promise<readonly number[]> {
  const { model, device, report, signal } = context;
  const calibration = firstWindows(context.calibration);
  const dense = await calibrationStates({ ...context, calibration });
  /** Behind the blocks so far, by group. */
  const changed = new Map<TriedGroup, HiddenStates>();
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index += 1) {
      stopIfAborted(signal);
      const inBlock = groups.filter(({ members }) => members[0]!.matrix.block === index);
      await throughBlock(index, { inBlock, dense, changed, options, parts: groups.length + 1 }, context);
      report({ type: 'progress', stage: 'divergences', done: index + 1, total, unit: 'blocks' });
    }
    const ordered = groups.map((group) => changed.get(group)!);
    const sides = { base: { model, states: dense }, now: { model, states: ordered } };
    return await meanDivergences(sides, { device, ...(signal && { signal }) });
  } finally {
    await dense.close();
    for (const states of changed.values()) await states.close();
  }
}

export interface TryOptions {
  readonly search: 'absmax' | 'mse';
}

interface Pass {
  readonly inBlock: readonly TriedGroup[];
  readonly dense: HiddenStates;
  readonly changed: Map<TriedGroup, HiddenStates>;
  readonly options: TryOptions;
  /** Among how many states the memory is divided. */
  readonly parts: number;
}

/** Sends on the states of groups before, then those of the block's own groups, each through the block as it changes it. */
async function throughBlock(
  index: number,
  { inBlock, dense, changed, options, parts }: Pass,
  context: SettleContext,
): Promise<void> {
  const { model, device, signal } = context;
  const through = (states: HiddenStates, weights: LoadedBlock) =>
    runBlock(weights, states, device, { store: true, ...(signal && { signal }) });
  const room = { memoryBytes: context.memoryBytes / parts, spillFolder: context.spillFolder };
  const block = await loadBlock(model, index, device);
  try {
    for (const states of changed.values()) await through(states, block);
    for (const group of inBlock) {
      const states = await createHiddenStates(dense.batches, model.decoder.hidden, room);
      changed.set(group, states);
      for (const i of dense.batches.keys()) await states.store(i, await dense.load(i));
      const revised = revisedBlock(block, await roundedWeights(group, options, context), device);
      try {
        await through(states, revised.block);
      } finally {
        revised.dispose();
      }
    }
    await through(dense, block);
  } finally {
    disposeBlock(block);
  }
}

export function firstWindows(calibration: SettleContext['calibration']): SettleContext['calibration'] {
  let tokens = 0;
  const enough = calibration.findIndex(({ ids }) => {
    tokens += ids.length;
    return tokens >= COMPARED_TOKENS;
  });
  return enough === -1 ? calibration : calibration.slice(0, enough + 1);
}

/** The members' weights as they would be read back. */
async function roundedWeights(
  { members, place }: TriedGroup,
  { search }: TryOptions,
  { model }: SettleContext,
): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const { matrix, forms } of members) {
    const { spec, weight, rows, columns } = matrix;
    const values = await readWeight(model.checkpoint, spec!);
    weights.set(weight, roundTrip({ values, rows, columns }, forms[place]!, search));
  }
  return weights;
}
