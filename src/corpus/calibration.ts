import { BirdboneError } from '../errors.js';
import type { Tokenizer } from '../model/index.js';
import { passagesOfSet } from './calibration-set.js';
import { checkContext } from './context.js';
import type { Passage, Protocol, TextPassages, TextSource } from './passage.js';
import { readTextFile } from './text-file.js';
import { type EncodedText, encodeFile, encodeText, windowsOf } from './windows.js';

/**
 * The fewest predictions that a gate may rest on when its text is what calibration left over. With as many, the 95 % interval of
 * a loss near 2 % (novels-5m, half of its weights removed by Wanda) reached 2.3 points to either side: with fewer, a gate of
 * 3 % tells nothing from chance.
 */
export const MIN_GATE_PREDICTIONS = 4096;

export interface CalibrationText {
  readonly file: string;
  /** Windows from the file's beginning. */
  readonly windows: number;
  /** Tokens of each. */
  readonly context: number;
}

export interface Calibration {
  readonly passages: readonly Passage[];
  readonly context: number;
  readonly source: TextSource;
  /** What somebody who calibrates with this text should know. */
  readonly notices?: readonly string[];
}

/**
 * Reads the first windows of a file, encoded once without BOS, or the first passages of a calibration set. Throws `usage` when a
 * text has fewer; of a set all are taken then.
 */
export async function readCalibration(
  file: string,
  tokenizer: Tokenizer,
  options: Omit<CalibrationText, 'file'> & { readonly maxContext: number },
): Promise<Calibration> {
  const { windows, context, maxContext } = options;
  checkContext(context, maxContext);
  const content = await readTextFile(file);
  if (content.kind !== 'set') return firstWindows(encodeText(content, tokenizer), options);
  return { ...passagesOfSet(file, content.set, tokenizer, { windows, context }), context, source: content.source };
}

export interface SplitOptions {
  readonly tokenizer: Tokenizer;
  /** Only windows: the documents of a text and the windows before them would overlap. */
  readonly protocol: Protocol;
  /** Tokens of an evaluation window. */
  readonly context: number;
  readonly limit?: number | undefined;
  readonly maxContext: number;
}

/**
 * Shares one file between calibration, which gets its first windows, and evaluation, which gets windows of what comes after.
 * Throws `usage` when fewer than `MIN_GATE_PREDICTIONS` predictions are left, unless `limit` asks for fewer.
 */
export async function splitCalibration(
  text: CalibrationText,
  options: SplitOptions,
): Promise<{ readonly calibration: Calibration; readonly evaluation: TextPassages }> {
  const { tokenizer, protocol, context, limit, maxContext } = options;
  checkContext(text.context, maxContext);
  checkContext(context, maxContext);
  if (protocol !== 'windows') {
    throw new BirdboneError('usage', `The ${protocol} protocol needs a text that calibration does not use.`, {
      suggestions: ['Give the gate a text of its own: --data FILE', 'Use --protocol windows.'],
    });
  }
  const encoded = await encodeFile(text.file, tokenizer);
  const calibration = firstWindows(encoded, text);
  const skippedTokens = text.windows * text.context;
  const passages = windowsOf(encoded.ids, { context, start: skippedTokens, limit });
  const enough = Math.min(Math.ceil(MIN_GATE_PREDICTIONS / (context - 1)), limit ?? Number.POSITIVE_INFINITY);
  if (passages.length < enough) throw tooLittleLeft(encoded, text, enough * context);
  return {
    calibration,
    evaluation: { protocol, context, passages, dropped: 0, skippedTokens, source: encoded.source },
  };
}

function firstWindows(
  { ids, source }: EncodedText,
  { windows, context }: { readonly windows: number; readonly context: number },
): Calibration {
  const passages = windowsOf(ids, { context, limit: windows });
  if (passages.length < windows) {
    const fits = passages.length > 0 ? [`Use --calibration-windows ${passages.length} or fewer.`] : [];
    throw new BirdboneError(
      'usage',
      `${source.name} has ${ids.length} tokens: ${passages.length} windows of ${context}, and ${windows} were asked for.`,
      { suggestions: [...fits, 'Use a longer calibration text.'] },
    );
  }
  return { passages, context, source };
}

function tooLittleLeft({ ids, source }: EncodedText, text: CalibrationText, needed: number): BirdboneError {
  const taken = text.windows * text.context;
  const fits = Math.floor((ids.length - needed) / text.context);
  return new BirdboneError(
    'usage',
    `${source.name} has ${ids.length} tokens; calibration takes ${taken} (${text.windows} windows of ${text.context}), and the gate needs at least ${needed} of the ${ids.length - taken} that are left.`,
    {
      suggestions: [
        'Give the gate a text of its own: --data FILE',
        ...(fits > 0 ? [`Leave more: --calibration-windows ${fits}`] : []),
      ],
    },
  );
}
