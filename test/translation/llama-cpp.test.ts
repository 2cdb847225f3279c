import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { convert } from '../../src/conversion/index.js';
import { loadTokenizer, openModel, type Tokenizer } from '../../src/model/index.js';
import { openDevice } from '../../src/tensor/index.js';
import { longLivedFolder } from '../fixtures/long-lived-folder.js';
import { llamaMissing, withLlama } from '../llama/llama.js';
import { argMaxOfRow, logitsOf, negativeLogLikelihood } from '../model/logits.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';

const fledgling = fileURLToPath(new URL('../../models/fledgling', import.meta.url));

interface Case {
  readonly name: string;
  readonly folder: string;
  readonly text: string;
  readonly bos: boolean;
  readonly missing: string | undefined;
}
const shared = (name: string, text: string, bos: boolean): Case => ({
  name,
  folder: sharedModel(name),
  text,
  bos,
  missing: sharedMissing ?? llamaMissing,
});
const CASES: readonly Case[] = [
  shared('tinystories-656k', sharedData('tinystories-1000', 'eval.txt'), true),
  shared('stories260k', sharedData('tinystories-1000', 'eval.txt'), true),
  shared('novels-5m', sharedData('novels', 'eval.txt'), false),
  {
    name: 'fledgling',
    folder: fledgling,
    text: path.join(fledgling, 'evaluation.txt'),
    bos: false,
    missing: llamaMissing,
  },
];

const WINDOW = 256;
const WINDOWS = 2;

/** Each is what a model's folder becomes with one --dtype; the type that nothing is lost to comes first. */
const DTYPES = [undefined, 'F16', 'BF16'] as const;

describe.each(CASES)('$name in llama.cpp', ({ name, folder, text, bos, missing }) => {
  describe.skipIf(missing !== undefined)(missing ?? 'as convert writes it', () => {
    const out = longLivedFolder();
    const fileOf = (dtype: string | undefined) => path.join(out, `${name}-${dtype ?? 'kept'}.gguf`);
    let tokenizer: Tokenizer;
    let content: string;
    /** With BOS in front where the model wants it, as PROTOCOLS has it. */
    let windows: Int32Array[];
    beforeAll(async () => {
      for (const dtype of DTYPES) await convert({ model: folder, out: fileOf(dtype), ...(dtype && { dtype }) });
      tokenizer = await loadTokenizer(folder);
      content = readFileSync(text, 'utf8').slice(0, 40_000);
      const ids = tokenizer.encode(content);
      const start = bos ? [tokenizer.bosTokenId!] : [];
      windows = Array.from({ length: WINDOWS }, (_, i) =>
        Int32Array.from([...start, ...ids.subarray(i * (WINDOW - 1), (i + 1) * (WINDOW - 1))]),
      );
    });

    it('gives the token ids of the folder, special tokens included', async () => {
      await withLlama(fileOf(undefined), async (llama) => {
        const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as Record<string, number>;
        expect(llama.bosTokenId).toBe(config['bos_token_id']);
        expect(llama.eosTokenId).toBe(config['eos_token_id']);
        for (let at = 0; at < content.length; at += 1000) {
          const part = content.slice(at, at + 1000);
          expect(llama.encode(part, true)).toEqual([...tokenizer.encode(part)]);
        }
        for (const special of SPECIAL_TEXTS[name]!) {
          expect(llama.encode(special, true)).toEqual([...tokenizer.encode(special)]);
        }
      });
    });

    it('continues as the folder does, and has its perplexity to 0.5 %', async () => {
      const device = await openDevice('cpu');
      const model = await openModel(folder);
      const { vocabulary } = model.decoder;
      const logits = await logitsOf(model, windows, device, 1024);
      const ours = windows.map((ids, i) => mean(likelihoodsOf(ids, logits[i]!, vocabulary)));
      for (const dtype of DTYPES) {
        await withLlama(fileOf(dtype), async (llama) => {
          for (const [i, ids] of windows.slice(0, dtype === undefined ? WINDOWS : 1).entries()) {
            const theirs = mean(await llama.negativeLogLikelihoods([...ids]));
            expect(Math.abs(Math.exp(theirs - ours[i]!) - 1), `${dtype ?? 'kept'}, window ${i}`).toBeLessThan(0.005);
          }
          if (dtype !== undefined) return;
          const prompt = [...windows[1]!.slice(0, 24)];
          const greedy = await llama.greedy(prompt, 64);
          const [all] = await logitsOf(model, [Int32Array.from([...prompt, ...greedy])], device);
          const expected = greedy.map((_, i) => argMaxOfRow(all!, prompt.length - 1 + i, vocabulary));
          expect(greedy).toEqual(expected.slice(0, greedy.length));
          expect(greedy.length).toBeGreaterThan(16);
        });
      }
      await model.checkpoint.close();
      await device.close();
    });
  });
});

const SPECIAL_TEXTS: Readonly<Record<string, readonly string[]>> = {
  // This one looks for its special tokens in the normalized text, which convert says that GGUF cannot.
  'tinystories-656k': ['One day'],
  stories260k: ['One day</s><s>Once', 'Привет, 日本 🙂 naïve'],
  'novels-5m': ['It was.<|eos|><|bos|>Chapter', 'Привет, 日本 🙂 naïve', '  a  b\n\n c\t\td 1234567 '],
  fledgling: ['It was.<|endoftext|>Then', 'Привет, 日本 🙂 naïve', '  a  b\n\n c\t\td 1234567 '],
};

function likelihoodsOf(ids: Int32Array, logits: Float32Array, vocabulary: number): number[] {
  return Array.from(ids.subarray(1), (id, t) => negativeLogLikelihood(logits, t, vocabulary, id));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
