import { stopIfAborted } from '../errors.js';
import type { Report } from '../events.js';
import { collectGradients } from '../evidence/index.js';
import type { ImportanceMetric } from '../importance/index.js';
import { disposeBlock, embeddedWindows, loadBlock, type Model } from '../model/index.js';
import type { AxisSums, PlateGraph } from '../plates/index.js';
import type { Device } from '../tensor/index.js';
import { type BlockSurvey, scoreAll, surveyBlock } from './block-survey.js';
import { gradientKinds } from './linear-evidence.js';

export interface SurveyContext {
  readonly model: Model;
  readonly graph: PlateGraph;
  readonly metric: ImportanceMetric;
  /** Empty: only what the weights tell. */
  readonly calibration: readonly { readonly ids: Int32Array }[];
  readonly device: Device;
  readonly memoryBytes: number;
  readonly spillFolder: string;
  readonly report: Report;
  readonly signal?: AbortSignal;
}

/**
 * Yields what is found of every block, first to last, one block's weights resident. A metric of gradients takes a backward pass
 * first, of which only the sums of scores are kept.
 */
export async function* surveyModel(context: SurveyContext): AsyncGenerator<BlockSurvey> {
  const { model, device, report, signal } = context;
  const scored = gradientKinds(context.metric).size === 0 ? [] : await scoreBackward(context);
  const states =
    context.calibration.length === 0 ? undefined : await embeddedWindows(context.model, context.calibration, context);
  const total = model.decoder.blocks.length;
  try {
    for (let index = 0; index < total; index += 1) {
      stopIfAborted(signal);
      const block = await loadBlock(model, index, device);
      try {
        yield await surveyBlock(block, states, scored[index], context);
      } finally {
        disposeBlock(block);
      }
      report({ type: 'progress', stage: 'survey', done: index + 1, total, unit: 'blocks' });
    }
  } finally {
    await states?.close();
  }
}

/** The sums of a gradient metric's scores, by block; its gradients come last block first, and each block's go at once. */
async function scoreBackward(context: SurveyContext): Promise<ReadonlyMap<string, AxisSums>[]> {
  const { model, calibration, device, metric, report } = context;
  const onBlock = (done: number, total: number) => {
    report({ type: 'progress', stage: 'gradients', done, total, unit: 'blocks' });
  };
  const scored: ReadonlyMap<string, AxisSums>[] = [];
  const gradients = collectGradients(model, calibration, gradientKinds(metric), { ...context, onBlock });
  for await (const { block: index, weights } of gradients) {
    const block = await loadBlock(model, index, device);
    try {
      scored[index] = await scoreAll(block, { gradients: weights }, context);
    } finally {
      disposeBlock(block);
    }
  }
  return scored;
}
