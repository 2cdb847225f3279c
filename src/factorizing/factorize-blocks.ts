import type { LayerWriter, MemoryValues } from '../checkpoint/index.js';
import { memoryLayer, overlay } from '../checkpoint/index.js';
import type { Decomposition } from '../lowrank/index.js';
import { disposeBlock, type HiddenStates, type LinearSpec, loadBlock, withCheckpoint } from '../model/index.js';
import { goOn } from '../pause.js';
import { advanceStates, calibrationStates } from '../pruning/index.js';
import { decomposeBlock, type FactorizeContext } from './block-matrices.js';
import { type Factorized, factorSinks } from './factor-sink.js';
import { type FactorizedRow, factorizedRow } from './factorized-rows.js';
import type { FactorFormat, FactorizeAlgorithm } from './settings.js';

export interface FactorizeWork {
  readonly algorithm: FactorizeAlgorithm;
  readonly format: FactorFormat;
  readonly linears: readonly Factorized[];
  readonly writer: LayerWriter;
}

/**
 * Factorizes block after block. What is lost is measured on inputs that come from the blocks before it as they now are; then the
 * block runs once more with its factors, for the next one. One block's weights are resident.
 */
export async function factorizeBlocks(
  work: FactorizeWork,
  context: FactorizeContext,
): Promise<readonly FactorizedRow[]> {
  const { model, report, signal } = context;
  const made: FactorizedRow[] = [];
  const states = work.algorithm === 'whitened' ? await calibrationStates(context) : undefined;
  const total = model.decoder.blocks.length;
  try {
    for (const { index } of model.decoder.blocks) {
      await goOn(signal);
      await factorizeBlock(work, { index, states, made }, context);
      report({ type: 'progress', stage: 'factorize', done: index + 1, total, unit: 'blocks' });
    }
    return made;
  } finally {
    await states?.close();
  }
}

interface BlockRun {
  readonly index: number;
  readonly states: HiddenStates | undefined;
  readonly made: FactorizedRow[];
}

async function factorizeBlock(
  work: FactorizeWork,
  { index, states, made }: BlockRun,
  context: FactorizeContext,
): Promise<void> {
  const { model, device } = context;
  const { linears, format, writer } = work;
  const own = new Map(model.decoder.blocks[index]!.linears.map((spec) => [spec.weight, spec]));
  const chosen = new Map(linears.filter(({ spec }) => own.has(spec.weight)).map((each) => [each.spec.weight, each]));
  const wanted = [...chosen.values()].map(({ spec, rank }) => ({ spec, maxRank: rank }));
  const values = new Map<string, MemoryValues>();
  const use = async ({ weight }: LinearSpec, found: Decomposition) => {
    const linear = chosen.get(weight)!;
    const written = await factorSinks[format].write(linear, await found.factors(linear.rank), writer, device);
    made.push(await factorizedRow({ linear, found, written }, model, work));
    if (states !== undefined) values.set(weight, written);
  };
  if (states === undefined) return decomposeBlock(wanted, undefined, context, use);
  const block = await loadBlock(model, index, device);
  try {
    if (wanted.length > 0) await decomposeBlock(wanted, { block, states }, context, use);
  } finally {
    disposeBlock(block);
  }
  // Nothing reads what the last block gives.
  if (index + 1 === model.decoder.blocks.length) return;
  const factorized = withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(new Map(), values)]));
  await advanceStates(factorized, index, states, context);
}
