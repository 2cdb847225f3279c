import { tmpdir } from 'node:os';
import type { Passage } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import { type Report, silent } from '../events.js';
import {
  apartAbove,
  batchesOf,
  DEFAULT_MEMORY_BYTES,
  type HeadSection,
  headSections,
  type Model,
  runBlocks,
  type TokenBatch,
  tokensPerBatch,
} from '../model/index.js';
import { goOn } from '../pause.js';
import type { Device, Matrix } from '../tensor/index.js';
import { type BatchScoring, batchScoring } from './batch-scoring.js';
import { disposeFinished, type Finished, finishedModel, withHeads, withNormedRows } from './output-layer.js';
import type { PassageComparison, PassageScore } from './passage-score.js';
import { emptyTally } from './tally.js';

export interface ScoreOptions {
  readonly device: Device;
  /** Gets `progress` events of the stage "evaluate": the passages' tokens, counted as far as the work on them is done. */
  readonly report?: Report | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hidden states above this go to a file in `spillFolder`. */
  readonly memoryBytes?: number | undefined;
  readonly spillFolder?: string | undefined;
  /** Device memory for the output heads; larger ones come section by section, with the same results (see `headSections`). */
  readonly headBytes?: number | undefined;
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
    for (const each of finished) await disposeFinished(each);
  }
}

interface Work {
  readonly device: Device;
  readonly signal: AbortSignal | undefined;
  readonly memoryBytes: number;
  readonly spillFolder: string;
  readonly headBytes: number | undefined;
  readonly onTokens: (tokens: number) => void;
}

function workOf(models: readonly Model[], batches: readonly TokenBatch[], options: ScoreOptions): Work {
  const { device, signal, report = silent, headBytes } = options;
  const { memoryBytes = DEFAULT_MEMORY_BYTES, spillFolder = tmpdir() } = options;
  const tokens = batches.reduce((sum, batch) => sum + batch.ids.length, 0);
  // The blocks take them all first, the output layer last: a token is done as far as its way through both is.
  const passes = models.reduce((sum, { decoder }) => sum + decoder.blocks.length + 1, 0);
  let passed = 0;
  const onTokens = (count: number) => {
    passed += count;
    report({ type: 'progress', stage: 'evaluate', done: Math.floor(passed / passes), total: tokens, unit: 'tokens' });
  };
  return { device, signal, memoryBytes, spillFolder, headBytes, onTokens };
}

function batchesFor(models: readonly Model[], passages: readonly Passage[], device: Device): TokenBatch[] {
  const longest = passages.reduce((length, { ids }) => Math.max(length, ids.length), 0);
  const tokens = models.map(({ decoder }) => tokensPerBatch(decoder, longest, device));
  return batchesOf(passages, Math.min(...tokens), Math.min(...models.map(({ decoder }) => apartAbove(decoder))));
}

async function finish(
  model: Model,
  batches: readonly TokenBatch[],
  work: Work & { readonly share: number },
): Promise<Finished> {
  const states = await runBlocks(model, batches, { ...work, memoryBytes: work.memoryBytes / work.share });
  return finishedModel(model, states, work.device);
}

interface OutputWork extends Work {
  readonly batches: readonly TokenBatch[];
  readonly passages: number;
}

/** The head outermost: each section of it is loaded once, and what is known of each batch waits for the next section. */
async function scoreBatches(finished: readonly Finished[], work: OutputWork): Promise<Scored> {
  const withBase = finished.length > 1;
  const tally = emptyTally(work.passages);
  const waiting = new Map<number, BatchScoring>();
  const models = finished.map(({ model }) => model);
  const sections = headSections(models, work.device, work.headBytes);
  for (const section of sections) {
    await goOn(work.signal);
    await withHeads(finished, section, work.device, async (heads) => {
      for (const [index, batch] of work.batches.entries()) {
        const scoring = waiting.get(index) ?? batchScoring(batch, { withBase });
        await scoreBatch(finished, heads, { index, scoring }, work);
        // With one section, which is all there is of a small head, no batch waits for another.
        if (section === sections.at(-1)) {
          scoring.finish(tally);
          waiting.delete(index);
        } else {
          waiting.set(index, scoring);
        }
        work.onTokens(finished.length * tokensDone(batch, section, models[0]!));
      }
    });
  }
  return withBase ? tally : { scores: tally.scores };
}

async function scoreBatch(
  finished: readonly Finished[],
  heads: readonly Matrix[],
  { index, scoring }: { readonly index: number; readonly scoring: BatchScoring },
  { device, signal }: Work,
): Promise<void> {
  await goOn(signal);
  const { positions } = scoring;
  if (positions.length === 0) return;
  await withNormedRows(finished, heads, { index, positions, device }, (sides) => scoring.add(sides, device));
}

/** The section's share of the batch's tokens, in whole tokens that add up to all of them. */
function tokensDone({ ids }: TokenBatch, { start, count }: HeadSection, { decoder }: Model): number {
  const upTo = (row: number) => Math.floor((ids.length * row) / decoder.vocabulary);
  return upTo(start + count) - upTo(start);
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
