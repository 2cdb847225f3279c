import path from 'node:path';
import { z } from 'zod';
import { BirdboneError } from '../errors.js';
import type { Tokenizer } from '../model/index.js';

/** How the file of a calibration set begins, whatever it is called: no text that somebody wrote does. */
export const SET_SIGNATURE = '{"calibrationSet":';

/** One passage of a set: the ids that the set was made with, and their text for other tokenizers and for people. */
const passage = z.object({
  source: z.int().min(0),
  ids: z.array(z.int().min(0).max(0xffff_ffff)).min(2),
  text: z.string(),
});

const setSchema = z.object({
  calibrationSet: z.literal(1),
  /** `Tokenizer.fingerprint` of the one that made the ids. */
  tokenizer: z.string().regex(/^[0-9a-f]{64}$/),
  /** The most tokens of a passage. */
  context: z.int().min(2),
  passages: z.array(passage).min(1),
});

/** What of a calibration set's file is used to calibrate; the rest of the file describes it. */
export type CalibrationSet = z.output<typeof setSchema>;
export type SetPassage = CalibrationSet['passages'][number];

/** Returns the set that a file's text holds, fully checked. Throws `unreadable` with the field at fault. */
export function parseCalibrationSet(file: string, text: string): CalibrationSet {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(file, `it is not JSON: ${(cause as Error).message}`, cause);
  }
  const result = setSchema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw damaged(file, `${issue?.path.join('.') || 'the whole'}: ${issue?.message ?? 'not a set'}`);
  }
  const set = result.data;
  const long = set.passages.findIndex(({ ids }) => ids.length > set.context);
  if (long >= 0) {
    throw damaged(file, `passage ${long} has ${set.passages[long]!.ids.length} tokens, more than its ${set.context}`);
  }
  return set;
}

/** A set's passages for a model, and what somebody who uses it should know. */
export interface SetPassages {
  readonly passages: readonly { readonly ids: Int32Array }[];
  readonly notices: readonly string[];
}

export interface SetUse {
  /** The first passages only; all of them where the set has fewer. */
  readonly windows: number;
  /** Passages are cut after so many tokens. */
  readonly context: number;
}

/**
 * The first passages of a set, as ids of this tokenizer: the set's own where it was made with it, else its texts encoded anew.
 * Throws `unreadable` for ids that the tokenizer does not have.
 */
export function passagesOfSet(file: string, set: CalibrationSet, tokenizer: Tokenizer, use: SetUse): SetPassages {
  const name = path.basename(file);
  const isOwn = set.tokenizer === tokenizer.fingerprint();
  const notices: string[] = [];
  if (!isOwn) notices.push(`${name} was made with another tokenizer; its texts are encoded with this model's.`);
  if (set.context > use.context) {
    notices.push(`${name} has passages of up to ${set.context} tokens; they are cut at ${use.context} (--context).`);
  }
  const chosen = set.passages.slice(0, use.windows);
  if (isOwn) for (const [index, { ids }] of chosen.entries()) refuseForeign(file, ids, { index, tokenizer });
  const passages = chosen
    .map(({ ids, text }) => (isOwn ? Int32Array.from(ids) : tokenizer.encode(text)))
    .map((ids) => ({ ids: ids.subarray(0, use.context) }))
    .filter(({ ids }) => ids.length >= 2);
  if (passages.length > 0) return { passages, notices };
  throw damaged(file, 'no text in it gives two tokens of this model');
}

function refuseForeign(
  file: string,
  ids: readonly number[],
  { index, tokenizer }: { readonly index: number; readonly tokenizer: Tokenizer },
): void {
  const foreign = ids.find((id) => id >= tokenizer.vocabularySize);
  if (foreign === undefined) return;
  throw damaged(
    file,
    `passage ${index} has the token ${foreign}, and its tokenizer has ${tokenizer.vocabularySize} entries`,
  );
}

function damaged(file: string, reason: string, cause?: unknown): BirdboneError {
  return new BirdboneError('unreadable', `Cannot use ${file} as a calibration set: ${reason}.`, {
    file,
    suggestions: ['Make it again: birdbone calibrate SOURCES --model MODEL --out FILE'],
    ...(cause !== undefined && { cause }),
  });
}
