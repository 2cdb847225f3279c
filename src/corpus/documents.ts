import { BirdboneError } from '../errors.js';
import type { Tokenizer } from '../model/index.js';
import type { Passage } from './passage.js';
import type { RunningText } from './windows.js';

/** What ends a document in a plain text file, besides the tokenizer's own end-of-sequence token. */
const END_OF_TEXT = ['<|endoftext|>', '</s>'];

export interface Documents {
  readonly passages: readonly Passage[];
  readonly dropped: number;
}

/**
 * Returns each document as BOS and its ids, cut at `context`; the first `limit` of those in which something can be scored.
 * Throws `usage` when the tokenizer has no BOS, and for a plain text without any end-of-text marker of which the cut would
 * leave only the beginning.
 */
export function documentsOf(
  file: RunningText,
  tokenizer: Tokenizer,
  { context, limit = Number.POSITIVE_INFINITY }: { readonly context: number; readonly limit?: number | undefined },
): Documents {
  const bos = tokenizer.bosTokenId;
  if (bos === undefined) {
    throw new BirdboneError('usage', 'The documents protocol puts a BOS token first, and this tokenizer names none.', {
      suggestions: ['Use --protocol windows.'],
    });
  }
  const texts = file.kind === 'jsonl' ? file.documents : splitDocuments(file.text, tokenizer.endOfSequence);
  const passages: Passage[] = [];
  let dropped = 0;
  for (const text of texts) {
    if (passages.length >= limit) break;
    const ids = tokenizer.encode(text);
    const unmarked = file.kind === 'text' && text === file.text;
    if (unmarked && ids.length >= context) throw oneLongDocument(file.source.name, ids.length, context);
    if (ids.length === 0) dropped++;
    else passages.push({ ids: withBos(bos, ids.subarray(0, context - 1)) });
  }
  return { passages, dropped };
}

function withBos(bos: number, text: Int32Array): Int32Array {
  const ids = new Int32Array(text.length + 1);
  ids[0] = bos;
  ids.set(text, 1);
  return ids;
}

/**
 * The documents of a plain text, split at `<|endoftext|>`, `</s>` and the tokenizer's own end token. The line break before a
 * marker and the one after it belong to the marker: files put it on a line of its own. What holds only white space is no
 * document.
 */
export function splitDocuments(text: string, endOfSequence?: string): string[] {
  const markers = endOfSequence === undefined ? END_OF_TEXT : [...END_OF_TEXT, endOfSequence];
  const marker = new RegExp(`\\r?\\n?(?:${markers.map(literal).join('|')})\\r?\\n?`, 'u');
  return text.split(marker).filter((document) => document.trim() !== '');
}

function literal(marker: string): string {
  return marker.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

function oneLongDocument(name: string, tokens: number, context: number): BirdboneError {
  return new BirdboneError(
    'usage',
    `${name} has no end-of-text marker: it is one document of ${tokens} tokens, of which only the first ${context - 1} would be scored.`,
    {
      suggestions: [
        'Use --protocol windows.',
        `Put one of ${END_OF_TEXT.join(' ')} between the documents, or use JSON lines with a "text" field.`,
      ],
    },
  );
}
