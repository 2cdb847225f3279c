import { stopIfAborted } from '../errors.js';
import type { ImportanceMetric } from '../importance/index.js';
import { disposeBlock, type LinearSpec, loadBlock, runBlock } from '../model/index.js';
import { type MatrixScores, maskGlobally } from '../sparsity/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { gradientEvidence } from './gradient-evidence.js';
import { type InputEvidence, inputEvidence, readsInputs } from './input-evidence.js';
import { prunableLinears } from './plan-masks.js';
import { scoreStored } from './score-matrix.js';
import { storedBits } from './stored-layout.js';

/**
 * Masks all matrices by one threshold. Every score must be known before the first weight goes, so evidence comes from the
 * model as it is before the wave, not from blocks that are already masked.
 */
export async function pruneAcrossBlocks(metric: ImportanceMetric, context: EditContext): Promise<void> {
  const { model, device, signal } = context;
  const inputs = readsInputs(metric.needs) ? await allInputs(metric, context) : undefined;
  const gradients = await gradientEvidence(metric.needs, context);
  const specs = new Map<string, { readonly spec: LinearSpec; readonly block: number }>();
  for (const block of model.decoder.blocks) {
    for (const spec of prunableLinears(model, block.index)) specs.set(spec.weight, { spec, block: block.index });
  }
  try {
    await maskAll(specs, context, async (name) => {
      stopIfAborted(signal);
      const { spec, block } = specs.get(name)!;
      const evidence = { columns: inputs?.[block]?.get(spec.input), weights: await gradients?.of(name) };
      return scoreStored(metric, spec, { checkpoint: model.checkpoint, evidence }, device);
    });
  } finally {
    await gradients?.close();
  }
}

async function maskAll(
  specs: ReadonlyMap<string, { readonly spec: LinearSpec }>,
  { target, writer, report }: EditContext,
  scoresOf: (name: string) => Promise<MatrixScores>,
): Promise<void> {
  let done = 0;
  for await (const { name, mask } of maskGlobally([...specs.keys()], target, scoresOf)) {
    await writer.writeMask(name, storedBits(mask, specs.get(name)!.spec));
    done += 1;
    report({ type: 'progress', stage: 'prune', done, total: specs.size, unit: 'matrices' });
  }
}

/** What the metric looks at in the inputs of every block, by block. */
async function allInputs(metric: ImportanceMetric, context: EditContext): Promise<InputEvidence[]> {
  const { model, device, report, signal } = context;
  const states = await calibrationStates(context);
  const all: InputEvidence[] = [];
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index++) {
      const block = await loadBlock(model, index, device);
      try {
        all.push(await inputEvidence(metric.needs, block, states, context));
        if (index + 1 < total) await runBlock(block, states, device, { store: true, ...(signal && { signal }) });
      } finally {
        disposeBlock(block);
      }
      report({ type: 'progress', stage: 'calibrate', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states.close();
  }
  return all;
}
