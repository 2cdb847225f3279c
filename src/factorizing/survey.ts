import { stopIfAborted } from '../errors.js';
import { mostRank, type RankRule, type Spectrum } from '../lowrank/index.js';
import { disposeBlock, loadBlock, runBlock } from '../model/index.js';
import { calibrationStates } from '../pruning/index.js';
import { decomposeBlock, type FactorizeContext, type Wanted } from './block-matrices.js';
import { factorizableLinears } from './linears.js';
import type { FactorizeRules } from './settings.js';

/**
 * The spectrum of every linear of the model as it is, in model order: of its outputs on the calibration text, or of the weights
 * alone (`algorithm: 'svd'`). Nothing is changed; one block's weights are resident.
 */
export async function surveySpectra(
  { rule, algorithm }: Pick<FactorizeRules, 'rule' | 'algorithm'>,
  context: FactorizeContext,
): Promise<readonly Spectrum[]> {
  const { model, device, report, signal } = context;
  const states = algorithm === 'whitened' ? await calibrationStates(context) : undefined;
  const spectra: Spectrum[] = [];
  const total = model.decoder.blocks.length;
  try {
    for (const { index } of model.decoder.blocks) {
      stopIfAborted(signal);
      const wanted = wantedOf(rule, factorizableLinears(model, index));
      const found = new Map<string, Spectrum>();
      const use = async (_: unknown, { name, rows, columns, energies, total: all }: Spectrum) => {
        found.set(name, { name, rows, columns, energies, total: all });
      };
      if (states === undefined) await decomposeBlock(wanted, undefined, context, use);
      else {
        const block = await loadBlock(model, index, device);
        try {
          await decomposeBlock(wanted, { block, states }, context, use);
          if (index + 1 < total) await runBlock(block, states, device, { store: true, ...(signal && { signal }) });
        } finally {
          disposeBlock(block);
        }
      }
      // Linears are decomposed by input; spectra come in model order.
      spectra.push(...wanted.map(({ spec }) => found.get(spec.weight)!));
      report({ type: 'progress', stage: 'spectra', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states?.close();
  }
  return spectra;
}

/** What a rule can ask of each linear; a matrix that no factors serve is looked at all the same, for its one direction. */
function wantedOf(rule: RankRule, linears: readonly Wanted['spec'][]): readonly Wanted[] {
  return linears.map((spec) => ({ spec, maxRank: Math.max(1, mostRank(rule, spec)) }));
}
