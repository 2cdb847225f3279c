import { type Protocol, readPassages, type TextPassages } from '../corpus/index.js';
import { BirdboneError } from '../errors.js';
import type { Report } from '../events.js';
import { loadTokenizer, type Model, openModel } from '../model/index.js';
import { type DeviceChoice, openDevice } from '../tensor/index.js';
import { type Comparison, compareScores, type Figures, summarize } from './figures.js';
import { scorePassages } from './score.js';

/** Which model to measure, on which text, by which protocol. */
export interface EvaluateOptions {
  readonly model: string;
  readonly data: string;
  readonly protocol: Protocol;
  readonly context: number;
  /** The first passages only. */
  readonly limit?: number;
  /** Compare with this model, token by token. */
  readonly base?: string;
  readonly seed: number;
  readonly device?: DeviceChoice;
  readonly threads?: number;
  readonly memoryBytes?: number;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** The figures, how they were made, and with a base how the model compares with it. */
export interface Evaluation extends Figures, Partial<Omit<Comparison, 'intervals'>> {
  readonly model: string;
  readonly protocol: Protocol;
  readonly context: number;
  readonly data: { readonly name: string; readonly sha256: string };
  /** Documents that were left out because nothing in them can be scored. */
  readonly dropped: number;
  readonly device: string;
  readonly seed: number;
  readonly intervals: Readonly<Record<string, readonly [number, number]>>;
  readonly base?: Figures & { readonly model: string };
}

/**
 * Measures a model on a text. Throws `usage` for a text that cannot be used and for a base that reads it as other tokens, and
 * what opening models and devices throws.
 */
export async function evaluateModel(options: EvaluateOptions): Promise<Evaluation> {
  const model = await openModel(options.model);
  try {
    const text = await readText(options.model, model, options);
    if (options.base === undefined) return await measure({ model, text }, options);
    const base = await openModel(options.base);
    try {
      checkSameTokens(text, await readText(options.base, base, options), options);
      return await measure({ model, base, text }, options);
    } finally {
      await base.checkpoint.close();
    }
  } finally {
    await model.checkpoint.close();
  }
}

async function measure(
  { model, base, text }: { readonly model: Model; readonly base?: Model; readonly text: TextPassages },
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { seed, memoryBytes, report, signal, threads } = options;
  const device = await openDevice(options.device ?? 'auto', threads === undefined ? {} : { threads });
  try {
    for (const message of [...device.notices, ...(model.checkpoint.notices ?? [])])
      report?.({ type: 'notice', message });
    const scored = await scorePassages(model, text.passages, { device, memoryBytes, report, signal, base });
    const figures = summarize(scored.scores, { seed });
    const how = {
      model: options.model,
      protocol: text.protocol,
      context: text.context,
      data: text.source,
      dropped: text.dropped,
      device: device.description,
      seed,
    };
    if (scored.baseScores === undefined || scored.comparisons === undefined) return { ...figures, ...how };
    const { comparisons, baseScores } = scored;
    const comparison = compareScores(baseScores, scored.scores, { seed, comparisons });
    return {
      ...figures,
      ...comparison,
      ...how,
      intervals: { ...figures.intervals, ...comparison.intervals },
      base: { model: options.base ?? '', ...summarize(baseScores, { seed }) },
    };
  } finally {
    await device.close();
  }
}

async function readText(folder: string, { decoder }: Model, options: EvaluateOptions): Promise<TextPassages> {
  const { protocol, context, limit } = options;
  const tokenizer = await loadTokenizer(folder);
  return readPassages(options.data, tokenizer, { protocol, context, limit, maxContext: decoder.maxContext });
}

function checkSameTokens(text: TextPassages, base: TextPassages, { model, base: other }: EvaluateOptions): void {
  const same =
    text.passages.length === base.passages.length &&
    text.passages.every(({ ids }, index) => ids.join() === base.passages[index]?.ids.join());
  if (same) return;
  throw new BirdboneError(
    'usage',
    `${model} and ${other} read the text as different tokens, so they cannot be compared.`,
    {
      suggestions: ['Compare models that share a tokenizer.', 'Evaluate each one by itself, without --base.'],
    },
  );
}
