import { dispose } from '@tensorflow/tfjs-core';
import { memoryLayer, overlay } from '../checkpoint/index.js';
import { stopIfAborted } from '../errors.js';
import { type ImportanceMetric, needsText } from '../importance/index.js';
import {
  disposeBlock,
  type HiddenStates,
  type LinearSpec,
  loadBlock,
  runBlock,
  withCheckpoint,
} from '../model/index.js';
import type { Mask, MatrixScores, Pattern } from '../sparsity/index.js';
import { calibrationStates } from './calibration-states.js';
import type { EditContext } from './edit.js';
import { inputNorms } from './input-norms.js';
import { type MaskRule, maskRule } from './plan-masks.js';
import { scoreMatrix, scoreStored } from './score-matrix.js';

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
  const states = needsText(rules.metric) ? await calibrationStates(context) : undefined;
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
  const { model, device } = context;
  if (states === undefined) {
    const { checkpoint } = model;
    await maskLinears(at, context, (spec) => scoreStored(at.metric, spec, { checkpoint }, device));
    return;
  }
  const masks = await maskByActivations(at, states, context);
  if (at.index + 1 < model.decoder.blocks.length) await advance(at.index, masks, states, context);
}

async function maskByActivations(
  at: { readonly index: number; readonly rule: MaskRule; readonly metric: ImportanceMetric },
  states: HiddenStates,
  context: EditContext,
): Promise<Map<string, Mask>> {
  const { model, device, signal } = context;
  const block = await loadBlock(model, at.index, device);
  try {
    const norms = await inputNorms(block, states, { device, ...(signal && { signal }) });
    try {
      return await maskLinears(at, context, (spec) => {
        const operands = { weight: block.linears.get(spec.weight)!.weight, norms: norms.get(spec.input)! };
        return scoreMatrix(at.metric, spec, operands, device);
      });
    } finally {
      dispose([...norms.values()]);
    }
  } finally {
    disposeBlock(block);
  }
}

async function maskLinears(
  at: { readonly index: number; readonly rule: MaskRule },
  { model, writer }: EditContext,
  score: (spec: LinearSpec) => Promise<MatrixScores>,
): Promise<Map<string, Mask>> {
  const masks = new Map<string, Mask>();
  for (const spec of model.decoder.blocks[at.index]!.linears) {
    const mask = at.rule(await score(spec));
    masks.set(spec.weight, mask);
    await writer.writeMask(spec.weight, mask.bits);
  }
  return masks;
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
