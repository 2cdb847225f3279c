import path from 'node:path';
import { BirdboneError } from '../errors.js';
import type { Tokenizer } from '../model/index.js';
import { checkContext } from './context.js';
import { documentsOf } from './documents.js';
import type { Protocol, TextPassages } from './passage.js';
import { readTextFile } from './text-file.js';
import { encodeFile, textsOf, windowsOf } from './windows.js';

export interface PassageOptions {
  readonly protocol: Protocol;
  /** Tokens of a window, or the most of a document with its BOS. */
  readonly context: number;
  /** The most that the model was made for. */
  readonly maxContext: number;
  /** The first passages only. */
  readonly limit?: number | undefined;
}

/**
 * Reads the passages of a text or JSONL file. Throws `usage` for a context that the model cannot take and for a text that
 * holds no passage, `unreadable` as `readTextFile` does.
 *
 * @example
 * const { passages } = await readPassages('eval.txt', tokenizer, { protocol: 'windows', context: 256, maxContext: 512 });
 */
export async function readPassages(file: string, tokenizer: Tokenizer, options: PassageOptions): Promise<TextPassages> {
  const { protocol, context } = options;
  checkContext(context, options.maxContext);
  const read =
    protocol === 'windows'
      ? await readWindows(file, tokenizer, options)
      : await readDocuments(file, tokenizer, options);
  return { protocol, context, skippedTokens: 0, ...read };
}

type ReadPassages = Pick<TextPassages, 'passages' | 'dropped' | 'source'>;

async function readWindows(file: string, tokenizer: Tokenizer, options: PassageOptions): Promise<ReadPassages> {
  const { ids, source } = await encodeFile(file, tokenizer);
  const passages = windowsOf(ids, options);
  if (passages.length === 0) {
    throw new BirdboneError(
      'usage',
      `${path.basename(file)} has ${ids.length} tokens; one window needs ${options.context}.`,
      {
        suggestions: ['Use a longer text.', ...(ids.length < 2 ? [] : [`Use --context ${ids.length} or less.`])],
      },
    );
  }
  return { passages, dropped: 0, source };
}

async function readDocuments(file: string, tokenizer: Tokenizer, options: PassageOptions): Promise<ReadPassages> {
  const content = textsOf(await readTextFile(file));
  const documents = documentsOf(content, tokenizer, options);
  if (documents.passages.length === 0) {
    throw new BirdboneError('usage', `${path.basename(file)} holds no document with text in it.`);
  }
  return { ...documents, source: content.source };
}
