import type { TensorInfo } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import { type BlockSpec, disposeBlock, type HiddenStates, loadBlock, type Model, runBlock } from '../model/index.js';
import { goOn } from '../pause.js';
import { calibrationStates } from '../pruning/index.js';
import { BlockResult } from './block-result.js';
import type { QuantizeContext, QuantizedSink, QuantizeRules, QuantizeTarget } from './quantizer.js';

/**
 * Quantizes a model's linears block after block, into `sink`. A quantizer that looks at text gets of each block what the blocks
 * before it, quantized as they now are, bring to it (Frantar et al. 2022); then the block runs once more with its new weights. One
 * block's weights are resident. Deterministic.
 *
 * Throws as `changedTensors`.
 */
export async function quantizeBlocks(
  rules: QuantizeRules,
  context: QuantizeContext,
  sink: QuantizedSink,
): Promise<void> {
  const { model, report, signal } = context;
  refuseUnfit(rules, model);
  const states = rules.quantizer.needs === 'text' ? await calibrationStates(context) : undefined;
  const total = model.decoder.blocks.length;
  try {
    for (const spec of model.decoder.blocks) {
      await goOn(signal);
      const isLast = spec.index + 1 === total;
      await quantizeBlock(rules, spec, { states, isLast, sink }, context);
      report({ type: 'progress', stage: 'quantize', done: spec.index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states?.close();
  }
}

/**
 * The tensors beside the quantized weights that will have new values (norm gains and biases that scales are folded into), known
 * without any work: type and shape stay. Throws `unsupported` for a scheme that the quantizer is not made for, and for a model that
 * cannot be run where it looks at text.
 */
export function changedTensors(rules: QuantizeRules, model: Model): readonly TensorInfo[] {
  refuseUnfit(rules, model);
  const names = model.decoder.blocks.flatMap((spec) => {
    return rules.quantizer.changes?.({ spec, targets: targetsOf(rules, spec) }, model) ?? [];
  });
  return names.map((name) => model.checkpoint.tensors.get(name)!);
}

interface BlockRun {
  readonly states: HiddenStates | undefined;
  readonly isLast: boolean;
  readonly sink: QuantizedSink;
}

async function quantizeBlock(
  rules: QuantizeRules,
  spec: BlockSpec,
  { states, isLast, sink }: BlockRun,
  context: QuantizeContext,
): Promise<void> {
  const { quantizer, options = {} } = rules;
  const work = { spec, targets: targetsOf(rules, spec) };
  if (states === undefined) return quantizer.quantizeBlock(work, options, context, sink);
  const { device, signal } = context;
  const result = quantizer.revisesBlock ? undefined : new BlockResult(sink);
  const block = await loadBlock(context.model, spec.index, device);
  try {
    if (work.targets.length > 0) {
      await quantizer.quantizeBlock({ ...work, text: { block, states } }, options, context, result ?? sink);
    }
    if (!isLast && !result) await runBlock(block, states, device, { store: true, ...(signal && { signal }) });
  } finally {
    disposeBlock(block);
  }
  // Nothing reads what the last block gives.
  if (!isLast) await result?.advance(spec.index, states, context);
}

function targetsOf({ schemeOf }: QuantizeRules, { linears }: BlockSpec): readonly QuantizeTarget[] {
  return linears.flatMap((spec) => {
    const scheme = schemeOf(spec);
    return scheme === undefined ? [] : [{ spec, scheme }];
  });
}

function refuseUnfit(rules: QuantizeRules, { decoder, checkpoint }: Model): void {
  const { quantizer } = rules;
  for (const spec of decoder.blocks) for (const { scheme } of targetsOf(rules, spec)) quantizer.checkScheme?.(scheme);
  if (quantizer.needs === 'weights' || decoder.refusal === undefined) return;
  throw new BirdboneError(
    'unsupported',
    `This algorithm looks at what a text does in the model, and this one cannot be run: ${decoder.refusal}.`,
    { file: checkpoint.path, suggestions: ['Round by the weights alone: --algorithm rtn', '… or: --algorithm hqq'] },
  );
}
