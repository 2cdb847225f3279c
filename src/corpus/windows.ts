import { BirdboneError } from '../errors.js';
import type { Tokenizer } from '../model/index.js';
import type { Passage, TextSource } from './passage.js';
import { readTextFile, type TextFile } from './text-file.js';

/** A whole file as token ids, encoded once without BOS. */
export interface EncodedText {
  readonly ids: Int32Array;
  readonly source: TextSource;
}

/** Encodes a file whole. The documents of a JSONL file are joined by a blank line first. Throws as `textsOf` does. */
export async function encodeFile(file: string, tokenizer: Tokenizer): Promise<EncodedText> {
  return encodeText(textsOf(await readTextFile(file)), tokenizer);
}

/** As `encodeFile`, of a file that was read. */
export function encodeText(content: RunningText, tokenizer: Tokenizer): EncodedText {
  const text = content.kind === 'text' ? content.text : content.documents.join('\n\n');
  return { ids: tokenizer.encode(text), source: content.source };
}

/** Text as it runs, not passages that somebody chose. */
export type RunningText = Exclude<TextFile, { readonly kind: 'set' }>;

/** Throws `usage` for a calibration set: chosen passages say what a model does, not how good it is. */
export function textsOf(content: TextFile): RunningText {
  if (content.kind !== 'set') return content;
  throw new BirdboneError(
    'usage',
    `${content.source.name} is a calibration set. It is allowed as --calibration only; nothing is measured on it.`,
    { suggestions: ['Give the gate a text of its own: --data FILE'] },
  );
}

/** The windows of `context` ids from id `start` on that do not overlap, at most `limit`; what is left at the end is dropped. */
export function windowsOf(
  ids: Int32Array,
  {
    context,
    start = 0,
    limit,
  }: { readonly context: number; readonly start?: number; readonly limit?: number | undefined },
): Passage[] {
  const whole = Math.max(0, Math.floor((ids.length - start) / context));
  const length = Math.min(whole, limit ?? whole);
  return Array.from({ length }, (_, i) => ({ ids: ids.slice(start + i * context, start + (i + 1) * context) }));
}
