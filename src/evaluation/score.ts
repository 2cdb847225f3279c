import { tmpdir } from 'node:os';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Passage } from '../corpus/index.js';
import { BirdboneError, stopIfAborted } from '../errors.js';
import { type Report, silent } from '../events.js';
import { batchesOf, type HiddenStates, type Model, type TokenBatch, tokensPerBatch } from '../model/index.js';
import { compareNextTokens, type Device, scoreNextTokens } from '../tensor/index.js';
import { disposeOutputLayer, loadOutputLayer, normedRows, type OutputLayer } from './output-layer.js';
import type { PassageComparison, PassageScore } from './passage-score.js';
import { type Predictions, predictionsOf } from './predictions.js';
import { runBlocks } from './run-blocks.js';
import { addComparison, addScores, emptyTally, type Tally } from './tally.js';

/** Hidden states up to this size stay in memory unless the caller says otherwise. */
const DEFAULT_MEMORY_BYTES = 2 ** 30;

export interface ScoreOptions {
  readonly device: Device;
  /** Gets `progress` events of the stage "evaluate": the passages' tokens, counted as far as the work on them is done. */
  readonly report?: Report | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hidden states above this go to a file in `spillFolder`. */
  readonly memoryBytes?: number | undefined;
  readonly spillFolder?: string | undefined;
  /** Compare with this model, token by token; it must have the same vocabulary. */
  readonly base?: Model | undefined;
}

export interface Scored {
  /** One for each passage, in their order. */
  readonly scores: readonly PassageScore[];
  /** With a base: the comparison, and the base's own scores. */
  readonly comparisons?: readonly PassageComparison[];
  readonly baseScores?: readonly PassageScore[];
}

/**
 * Scores every passage: what the model says to each id after the first. The model runs block by block over all passages, and
 * each passage's sums are f64 in the order of its tokens, so the same passages on the same device give the same numbers.
 * Throws `interrupted` on abort, `usage` for ids outside the vocabulary and for a base with another vocabulary.
 */
export async function scorePassages(
  model: Model,
  passages: readonly Passage[],
  options: ScoreOptions,
): Promise<Scored> {
  const { base } = options;
  if (base !== undefined) checkSameVocabulary(base, model);
  const models = base === undefined ? [model] : [base, model];
  const batches = batchesFor(models, passages, options.device);
  const work = workOf(models, batches, options);
  const finished: Finished[] = [];
  try {
    for (const each of models) finished.push(await finish(each, batches, { ...work, share: models.length }));
    return await scoreBatches(finished, { batches, passages: passages.length, ...work });
  } finally {
    for (const { states, layer } of finished) {
      disposeOutputLayer(layer);
      await states.close();
    }
  }
}

/** A model that went through its blocks: what came out, and what is still to come. */
interface Finished {
  readonly states: HiddenStates;
  readonly layer: OutputLayer;
}

interface Work {
  readonly device: Device;
  readonly signal: AbortSignal | undefined;
  readonly memoryBytes: number;
  readonly spillFolder: string;
  readonly onTokens: (tokens: number) => void;
}

function workOf(models: readonly Model[], batches: readonly TokenBatch[], options: ScoreOptions): Work {
  const { device, signal, report = silent, memoryBytes = DEFAULT_MEMORY_BYTES, spillFolder = tmpdir() } = options;
  const tokens = batches.reduce((sum, batch) => sum + batch.ids.length, 0);
  // The blocks take them all first, the output layer last: a token is done as far as its way through both is.
  const passes = models.reduce((sum, { decoder }) => sum + decoder.blocks.length + 1, 0);
  let passed = 0;
  const onTokens = (count: number) => {
    passed += count;
    report({ type: 'progress', stage: 'evaluate', done: Math.floor(passed / passes), total: tokens, unit: 'tokens' });
  };
  return { device, signal, memoryBytes, spillFolder, onTokens };
}

function batchesFor(models: readonly Model[], passages: readonly Passage[], device: Device): TokenBatch[] {
  const longest = passages.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  const tokens = models.map(({ decoder }) => tokensPerBatch(decoder, longest, device));
  return batchesOf(passages, Math.min(...tokens));
}

async function finish(
  model: Model,
  batches: readonly TokenBatch[],
  work: Work & { readonly share: number },
): Promise<Finished> {
  const states = await runBlocks(model, batches, { ...work, memoryBytes: work.memoryBytes / work.share });
  try {
    return { states, layer: await loadOutputLayer(model, work.device) };
  } catch (error) {
    await states.close();
    throw error;
  }
}

async function scoreBatches(
  finished: readonly Finished[],
  work: Work & { readonly batches: readonly TokenBatch[]; readonly passages: number },
): Promise<Scored> {
  const tally = emptyTally(work.passages);
  for (const [index, batch] of work.batches.entries()) {
    stopIfAborted(work.signal);
    const predictions = predictionsOf(batch);
    if (predictions.targets.length > 0) await scoreBatch(finished, { index, predictions, tally }, work.device);
    work.onTokens(finished.length * batch.ids.length);
  }
  return finished.length === 1 ? { scores: tally.scores } : tally;
}

async function scoreBatch(
  finished: readonly Finished[],
  { index, predictions, tally }: { readonly index: number; readonly predictions: Predictions; readonly tally: Tally },
  device: Device,
): Promise<void> {
  const { targets, positions } = predictions;
  const hidden: Tensor2D[] = [];
  try {
    for (const { layer, states } of finished) {
      hidden.push(await normedRows(layer, states, { index, positions }, device));
    }
    const [first, second] = finished.map(({ layer }) => layer.head);
    if (second === undefined) {
      addScores(tally.scores, predictions, await scoreNextTokens(hidden[0]!, first!, targets, device));
    } else {
      const compared = await compareNextTokens(hidden[0]!, first!, hidden[1]!, second, targets, device);
      addComparison(tally, predictions, compared);
    }
  } finally {
    for (const tensor of hidden) tensor.dispose();
  }
}

function checkSameVocabulary(base: Model, model: Model): void {
  const [expected, found] = [base.decoder.vocabulary, model.decoder.vocabulary];
  if (expected === found) return;
  throw new BirdboneError(
    'usage',
    `The base model has a vocabulary of ${expected} tokens, the model one of ${found}; their predictions do not compare.`,
    { suggestions: ['Compare models of the same tokenizer.'] },
  );
}
