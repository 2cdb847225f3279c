import { dispose, type Tensor1D } from '@tensorflow/tfjs-core';
import { stopIfAborted } from '../errors.js';
import { type ImportanceMetric, needsText } from '../importance/index.js';
import { disposeBlock, type LinearInput, type LinearSpec, loadBlock, runBlock } from '../model/index.js';
import { type MatrixScores, maskGlobally } from '../sparsity/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { inputNorms } from './input-norms.js';
import { scoreStored } from './score-matrix.js';

/** ‖X_j‖₂ on the host, by block and input. */
type AllNorms = ReadonlyMap<LinearInput, Float32Array>[];

/**
 * Masks all matrices by one threshold. Every score must be known before the first weight goes, so activations come from the
 * model as it is before the wave, not from blocks that are already masked.
 */
export async function pruneAcrossBlocks(metric: ImportanceMetric, context: EditContext): Promise<void> {
  const { model, target, writer, report, signal } = context;
  const norms = needsText(metric) ? await allNorms(context) : undefined;
  const specs = new Map<string, { readonly spec: LinearSpec; readonly block: number }>();
  for (const block of model.decoder.blocks) {
    for (const spec of block.linears) specs.set(spec.weight, { spec, block: block.index });
  }
  const scoresOf = async (name: string): Promise<MatrixScores> => {
    stopIfAborted(signal);
    const { spec, block } = specs.get(name)!;
    return scoreLinear(metric, spec, norms?.[block]?.get(spec.input), context);
  };
  let done = 0;
  for await (const { name, mask } of maskGlobally([...specs.keys()], target, scoresOf)) {
    await writer.writeMask(name, mask.bits);
    done += 1;
    report({ type: 'progress', stage: 'prune', done, total: specs.size, unit: 'matrices' });
  }
}

async function scoreLinear(
  metric: ImportanceMetric,
  spec: LinearSpec,
  norms: Float32Array | undefined,
  { model, device }: EditContext,
): Promise<MatrixScores> {
  const onDevice = norms === undefined ? undefined : (device.upload(norms, [norms.length]) as Tensor1D);
  const operands = { checkpoint: model.checkpoint, ...(onDevice && { norms: onDevice }) };
  try {
    return await scoreStored(metric, spec, operands, device);
  } finally {
    onDevice?.dispose();
  }
}

async function allNorms(context: EditContext): Promise<AllNorms> {
  const { model, device, report, signal } = context;
  const states = await calibrationStates(context);
  const all: AllNorms = [];
  const total = model.decoder.blocks.length;
  const stop = signal && { signal };
  try {
    for (let index = 0; index < total; index++) {
      const block = await loadBlock(model, index, device);
      try {
        const norms = await inputNorms(block, states, { device, ...stop });
        const host = new Map<LinearInput, Float32Array>();
        for (const [input, tensor] of norms) host.set(input, (await device.read(tensor)) as Float32Array);
        dispose([...norms.values()]);
        all.push(host);
        if (index + 1 < total) await runBlock(block, states, device, { store: true, ...stop });
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
