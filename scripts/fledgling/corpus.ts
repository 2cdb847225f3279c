import { Tokenizer } from '@huggingface/tokenizers';
import { documents, END_OF_TEXT, joinDocuments, take } from './generate-text.js';
import { TEXT_CHARACTERS, TEXT_SEEDS } from './settings.js';
import { tokenizerConfig, tokenizerJson } from './tokenizer-files.js';
import { trainTokenizer, type Vocabulary } from './train-tokenizer.js';

/** The texts that ship with the model. */
export interface HeldOut {
  readonly calibration: readonly string[];
  readonly evaluation: readonly string[];
}

/** Calibration and evaluation documents; no document is in both. */
export function heldOutDocuments(): HeldOut {
  const evaluation = take(documents(TEXT_SEEDS.evaluation), TEXT_CHARACTERS.evaluation);
  const calibration = take(documents(TEXT_SEEDS.calibration, new Set(evaluation)), TEXT_CHARACTERS.calibration);
  return { calibration, evaluation };
}

/** The documents of the training text, without end: none of them is held out. */
export function trainingDocuments({ calibration, evaluation }: HeldOut): Iterable<string> {
  return documents(TEXT_SEEDS.training, new Set([...calibration, ...evaluation]));
}

/** The vocabulary of the beginning of the training text. */
export function tokenizerOf(heldOut: HeldOut, size: number): Vocabulary {
  return trainTokenizer(joinDocuments(take(trainingDocuments(heldOut), TEXT_CHARACTERS.tokenizer)), size);
}

/** The first `count` ids of the training text, documents parted by the end-of-text token. */
export function trainingIds(heldOut: HeldOut, vocabulary: Vocabulary, count: number): Int32Array {
  const tokenizer = new Tokenizer(tokenizerJson(vocabulary), tokenizerConfig(0));
  const ids = new Int32Array(count);
  let filled = 0;
  for (const document of trainingDocuments(heldOut)) {
    const encoded: number[] = tokenizer.encode(document + END_OF_TEXT, { add_special_tokens: false }).ids;
    ids.set(encoded.slice(0, count - filled), filled);
    filled = Math.min(count, filled + encoded.length);
    if (filled === count) return ids;
  }
  return ids;
}
