import { type MemoryValues, memoryLayer, overlay, readFloats } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { type Decomposition, type Factors, productOf, type WeightRows } from '../lowrank/index.js';
import { disposeBlock, type LinearSpec, loadBlock, type Model, withCheckpoint } from '../model/index.js';
import { advanceStates, calibrationStates } from '../pruning/index.js';
import { type Dtype, decodeToF32, encodeFromF32 } from '../tensor/index.js';
import { decomposeBlock, type FactorizeContext } from './block-matrices.js';
import { factorizableLinears, inStoredOrder, weightRows } from './linears.js';

/** What becomes of the difference between two models' weights. */
export interface Correction {
  readonly spec: LinearSpec;
  readonly rank: number;
  /** The bytes of the factors, [rows, rank] and [rank, columns]. */
  readonly left: Uint8Array;
  readonly right: Uint8Array;
  /** The parts of the difference's ‖D X‖² that the factors do not make up for, of the randomised algorithm with its bound. */
  readonly remaining: number;
}

export interface CorrectionWork {
  /** What the model was before it was compressed: the same linears. */
  readonly before: Model;
  readonly rankOf: (spec: LinearSpec) => number;
  /** Type of the factors. */
  readonly dtypeOf: (spec: LinearSpec) => Dtype;
  readonly use: (correction: Correction) => Promise<void>;
}

/**
 * Finds for each linear of a compressed model the factors that, added to its weight, bring its outputs on the calibration text
 * nearest to those of the weight before: the whitened SVD of the difference. Inputs come from the blocks before it, corrected as
 * they now are. One block of each model is resident.
 *
 * Source: Liu et al. 2024, "EoRA: Training-free Compensation for Compressed LLM with Eigenspace Low-Rank Approximation".
 */
export async function correctBlocks(work: CorrectionWork, context: FactorizeContext): Promise<void> {
  const { model, device, report, signal } = context;
  const states = await calibrationStates(context);
  const total = model.decoder.blocks.length;
  try {
    for (const { index } of model.decoder.blocks) {
      stopIfAborted(signal);
      const block = await loadBlock(model, index, device);
      const values = new Map<string, MemoryValues>();
      try {
        const wanted = factorizableLinears(model, index).map((spec) => ({ spec, maxRank: work.rankOf(spec) }));
        const differenceOf = (spec: LinearSpec) => difference(work.before, model, spec);
        await decomposeBlock(wanted, { block, states, weightOf: differenceOf }, context, async (spec, found) => {
          values.set(spec.weight, await correct(spec, found, work, context));
        });
      } finally {
        disposeBlock(block);
      }
      const corrected = withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(new Map(), values)]));
      if (index + 1 < total) await advanceStates(corrected, index, states, context);
      report({ type: 'progress', stage: 'correct', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states.close();
  }
}

/** W before − W now, by rows. */
function difference(before: Model, now: Model, spec: LinearSpec): WeightRows {
  const [left, right] = [weightRows(before.checkpoint, spec), weightRows(now.checkpoint, spec)];
  return {
    ...left,
    async read(first, count) {
      const [values, taken] = [await left.read(first, count), await right.read(first, count)];
      for (let i = 0; i < values.length; i += 1) values[i]! -= taken[i]!;
      return values;
    },
  };
}

/** Hands the factors on as they are stored; returns the corrected weight. */
async function correct(
  spec: LinearSpec,
  found: Decomposition,
  { rankOf, dtypeOf, use }: CorrectionWork,
  { model, device }: FactorizeContext,
): Promise<MemoryValues> {
  const [rank, dtype] = [rankOf(spec), dtypeOf(spec)];
  const factors = await found.factors(rank);
  const [left, right] = [encodeFromF32(factors.left, dtype), encodeFromF32(factors.right, dtype)];
  const kept = found.energies.subarray(0, rank).reduce((sum, energy) => sum + energy, 0);
  const remaining = found.total === 0 ? 0 : Math.max(0, 1 - kept / found.total);
  await use({ spec, rank, left, right, remaining });
  const stored: Factors = { ...factors, left: decodeToF32(left, dtype), right: decodeToF32(right, dtype) };
  const added = inStoredOrder(await productOf(stored, device), spec);
  const values = await readFloats(model.checkpoint, spec.weight);
  for (let i = 0; i < values.length; i += 1) values[i]! += added[i]!;
  const { name, shape } = model.checkpoint.tensors.get(spec.weight)!;
  return { info: { name, shape, dtype: 'F32', byteLength: values.byteLength }, bytes: encodeFromF32(values, 'F32') };
}
