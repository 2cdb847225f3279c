import type { Tensor1D } from '@tensorflow/tfjs-core';
import { dispose } from '@tensorflow/tfjs-core';
import { memoryLayer, overlay } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import type { ImportanceMetric } from '../importance/index.js';
import {
  disposeBlock,
  type HiddenStates,
  type LinearInput,
  type LoadedBlock,
  loadBlock,
  runBlock,
  withCheckpoint,
} from '../model/index.js';
import type { Mask, Pattern } from '../sparsity/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { inputNorms } from './input-norms.js';
import { type MaskRule, maskRule } from './plan-masks.js';
import { scoreMatrix } from './score-matrix.js';

interface Rules {
  readonly metric: ImportanceMetric;
  readonly pattern: Pattern;
  readonly compare: 'row' | 'layer';
}

/**
 * Masks block after block. A metric that needs activations gets them from the block as it is, on inputs that come from the
 * blocks before it with their new masks; then the block runs once more, masked, for the next one (Sun et al. 2023, and
 * SparseGPT before it). One block's weights are resident.
 */
export async function pruneBlockByBlock(rules: Rules, context: EditContext): Promise<void> {
  const { model, report, signal } = context;
  const rule = maskRule(rules.pattern, model, context.target, rules.compare);
  const states = rules.metric.needs === 'weights' ? undefined : await calibrationStates(context);
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index++) {
      stopIfAborted(signal);
      await pruneBlock({ index, rule, metric: rules.metric }, states, context);
      report({ type: 'progress', stage: 'prune', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states?.close();
  }
}

async function pruneBlock(
  at: { readonly index: number; readonly rule: MaskRule; readonly metric: ImportanceMetric },
  states: HiddenStates | undefined,
  context: EditContext,
): Promise<void> {
  const { model, device, signal } = context;
  const block = await loadBlock(model, at.index, device);
  const masks = new Map<string, Mask>();
  try {
    const norms =
      states === undefined ? undefined : await inputNorms(block, states, { device, ...(signal && { signal }) });
    try {
      await maskLinears(block, { ...at, norms, masks }, context);
    } finally {
      dispose([...(norms?.values() ?? [])]);
    }
  } finally {
    disposeBlock(block);
  }
  if (states !== undefined && at.index + 1 < model.decoder.blocks.length)
    await advance(at.index, masks, states, context);
}

async function maskLinears(
  block: LoadedBlock,
  work: {
    readonly rule: MaskRule;
    readonly metric: ImportanceMetric;
    readonly norms: ReadonlyMap<LinearInput, Tensor1D> | undefined;
    readonly masks: Map<string, Mask>;
  },
  context: EditContext,
): Promise<void> {
  for (const spec of block.spec.linears) {
    const norms = work.norms?.get(spec.input);
    const operands = { weight: block.linears[spec.role].weight, ...(norms && { norms }) };
    const mask = work.rule(await scoreMatrix(work.metric, spec, operands, context.device));
    work.masks.set(spec.weight, mask);
    await context.writer.writeMask(spec.weight, mask.bits);
  }
}

/** Replaces the hidden states by what the block gives under its new masks. */
async function advance(
  index: number,
  masks: ReadonlyMap<string, Mask>,
  states: HiddenStates,
  context: EditContext,
): Promise<void> {
  const { model, device, signal } = context;
  const layer = memoryLayer(new Map([...masks].map(([name, mask]) => [name, mask.bits])));
  const masked = await loadBlock(withCheckpoint(model, overlay(model.checkpoint, [layer])), index, device);
  try {
    await runBlock(masked, states, device, { store: true, ...(signal && { signal }) });
  } finally {
    disposeBlock(masked);
  }
}
