import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Protocol, readPassages, splitCalibration } from '../../src/corpus/index.js';
import { type PassageScore, scorePassages, summarize } from '../../src/evaluation/index.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';

interface Row {
  readonly model: string;
  readonly text: string;
  readonly protocol: Protocol;
  readonly context: number;
  readonly limit?: number;
  readonly perplexity: number;
  /** To four digits, as the reference gives it. */
  readonly accuracy?: number;
}

/** Figures of an independent float32 implementation over the same stored weights and files. */
const ROWS: readonly Row[] = [
  {
    model: 'tinystories-656k',
    text: 'tinystories-1000/eval.jsonl',
    protocol: 'documents',
    context: 512,
    perplexity: 22.0013,
    accuracy: 0.3413,
  },
  {
    model: 'tinystories-656k',
    text: 'tinystories-1000/eval.txt',
    protocol: 'windows',
    context: 256,
    perplexity: 30.9266,
    accuracy: 0.289,
  },
  {
    model: 'novels-5m',
    text: 'novels/eval.txt',
    protocol: 'windows',
    context: 256,
    limit: 20,
    perplexity: 81.9333,
  },
];

describe.skipIf(sharedMissing !== undefined)(
  `the reference's figures${sharedMissing ? ` (${sharedMissing})` : ''}`,
  () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice('cpu');
    });
    afterAll(() => device.close());

    // Seconds on an idle machine; a busy one gets its time.
    it.each(ROWS)('$model, $protocol of $text', { timeout: 300_000 }, async (row) => {
      const scores = await score(row, device);
      const { perplexity, accuracy } = summarize(scores, { seed: 0 });
      expect(Math.abs(perplexity / row.perplexity - 1)).toBeLessThan(1e-4);
      if (row.accuracy !== undefined) expect(Math.abs(accuracy - row.accuracy)).toBeLessThan(1e-4);
      expectPassages(scores, row);
    });
  },
);

async function score(row: Row, device: Device): Promise<readonly PassageScore[]> {
  const model = await openModel(sharedModel(row.model));
  try {
    const { maxContext } = model.decoder;
    const tokenizer = await loadTokenizer(sharedModel(row.model));
    const { passages } = await readPassages(sharedData(row.text), tokenizer, { ...row, maxContext });
    return (await scorePassages(model, passages, { device })).scores;
  } finally {
    await model.checkpoint.close();
  }
}

/** The first passages have figures of their own in the model's reference.json. */
function expectPassages(scores: readonly PassageScore[], row: Row): void {
  const reference = JSON.parse(readFileSync(path.join(sharedModel(row.model), 'reference.json'), 'utf8')) as Record<
    string,
    readonly { readonly tokens: number; readonly mean_nll: number; readonly top1: number }[]
  >;
  const passages = reference[row.protocol === 'documents' ? 'first_8_eval_documents' : 'first_20_eval_windows'] ?? [];
  for (const [i, passage] of passages.entries()) {
    const { tokens, negativeLogLikelihood, correct } = scores[i]!;
    expect(tokens).toBe(passage.tokens);
    expect(negativeLogLikelihood / tokens).toBeCloseTo(passage.mean_nll, 4);
    expect(correct / tokens).toBeCloseTo(passage.top1, 5);
  }
}

describe.skipIf(sharedMissing !== undefined)(`the real texts${sharedMissing ? ` (${sharedMissing})` : ''}`, () => {
  it('have the tokens and windows that their README counts', async () => {
    const tokenizer = await loadTokenizer(sharedModel('novels-5m'));
    const windows = { protocol: 'windows', context: 256, maxContext: 512 } as const;
    const evaluation = await readPassages(sharedData('novels/eval.txt'), tokenizer, windows);
    expect(evaluation.passages).toHaveLength(486);
    const split = await splitCalibration(
      { file: sharedData('novels/calibration.txt'), windows: 128, context: 256 },
      { ...windows, tokenizer },
    );
    expect(split.calibration.passages).toHaveLength(128);
    expect(split.evaluation.passages).toHaveLength(678 - 128);
  });

  it('are the same windows as text and as JSON lines', async () => {
    const tokenizer = await loadTokenizer(sharedModel('stories260k'));
    const windows = { protocol: 'windows', context: 256, maxContext: 512 } as const;
    const text = await readPassages(sharedData('tinystories-1000/eval.txt'), tokenizer, windows);
    const lines = await readPassages(sharedData('tinystories-1000/eval.jsonl'), tokenizer, windows);
    expect(lines.passages).toEqual(text.passages);
  });
});
