import { createHash } from 'node:crypto';
import path from 'node:path';
import { type Checkpoint, canonicalJson, openCheckpoint } from '../checkpoint/index.js';
import { scorePassages } from '../evaluation/index.js';
import { openModel } from '../model/index.js';
import type { Recipe } from '../recipe.js';
import { manifestDigest } from '../state/index.js';
import { type RunOptions, run } from '../waves/index.js';
import type { Candidate } from './candidates.js';
import { ScoreBook, type Scores } from './score-book.js';
import type { Subject } from './subject.js';

/** A candidate that was made, and can be measured. */
export interface Trial {
  readonly candidate: Candidate;
  /** Bytes of its tensors as they are published. */
  readonly bytes: number;
  /** Scores of the first so many passages. */
  scores(count: number): Promise<Scores>;
}

/** What of a run's options each candidate's run takes too. */
export type TrialOptions = Pick<RunOptions, 'device' | 'threads' | 'memoryBytes' | 'report' | 'signal'>;

/**
 * Makes a candidate: a run of its own without a gate, in a folder of the search, which goes on where an earlier search was
 * interrupted.
 */
export async function makeTrial(
  candidate: Candidate,
  { subject, folder }: { readonly subject: Subject; readonly folder: string },
  options: TrialOptions,
): Promise<Trial> {
  const recipe = recipeOf(candidate, subject.recipe, folder);
  const { device, threads, memoryBytes, signal } = options;
  await run({
    recipe,
    resume: true,
    diffs: path.dirname(recipe.out),
    ...(device && { device }),
    ...(threads !== undefined && { threads }),
    ...(memoryBytes !== undefined && { memoryBytes }),
    ...(signal && { signal }),
  });
  const { evaluation } = subject;
  const book = await ScoreBook.open(path.dirname(recipe.out), {
    ...subject.key,
    manifest: (await manifestDigest(recipe.out)) ?? null,
  });
  return {
    candidate,
    bytes: bytesOf(await opened(recipe.out)),
    scores: (count) =>
      book.upTo(count, evaluation, async (passages) => {
        const model = await openModel(recipe.out);
        try {
          return await scorePassages(model, passages, subject.scoring);
        } finally {
          await model.checkpoint.close();
        }
      }),
  };
}

/** The candidate's recipe: the gate is the search's to ask, and one window shows that the result gives numbers. */
function recipeOf({ steps }: Candidate, recipe: Recipe, folder: string): Recipe {
  const { gate: _, ...rest } = recipe;
  const name = createHash('sha256').update(canonicalJson(steps)).digest('hex').slice(0, 16);
  const isFile = recipe.out.toLowerCase().endsWith('.gguf');
  return {
    ...rest,
    out: path.join(folder, name, isFile ? 'model.gguf' : 'model'),
    steps: [...steps],
    maxDrop: 1,
    monitor: 'basic',
    evaluation: { ...recipe.evaluation, limit: 1 },
  };
}

async function opened(place: string): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(place);
  await checkpoint.close();
  return checkpoint;
}

/** Bytes of all tensors. */
export function bytesOf({ tensors }: Pick<Checkpoint, 'tensors'>): number {
  return [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}
