import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makeTokenizer, openModel } from '../../src/model/index.js';
import { openDevice } from '../../src/tensor/index.js';
import {
  cutTokenizer,
  cutTokenizerConfig,
  newIdsOf,
  type VocabularyFiles,
  vocabularyPlan,
} from '../../src/vocabulary/index.js';
import { logitsOf } from '../model/logits.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';
import { writeCut } from '../shedding/shed-states.js';

const MODELS = [
  // Byte-pair encodings of SentencePiece with bytes to fall back to, and of GPT-2's bytes.
  ['stories260k', sharedData('tinystories-1000', 'calibration.txt')],
  ['tinystories-656k', sharedData('tinystories-1000', 'calibration.txt')],
  ['novels-5m', sharedData('novels', 'calibration.txt')],
] as const;

function filesOf(name: string): VocabularyFiles {
  const read = (file: string) => JSON.parse(readFileSync(path.join(sharedModel(name), file), 'utf8'));
  return {
    tokenizer: read('tokenizer.json'),
    tokenizerConfig: read('tokenizer_config.json'),
    config: read('config.json'),
    generationConfig: read('generation_config.json'),
    file: 'tokenizer.json',
  };
}

describe.skipIf(sharedMissing !== undefined).each(sharedMissing === undefined ? MODELS : [])(
  `a vocabulary cut for a text (%s)${sharedMissing === undefined ? '' : ` (skipped: ${sharedMissing})`}`,
  (name, textFile) => {
    const files = filesOf(name);
    const before = makeTokenizer(files.tokenizer, files.tokenizerConfig, 'tokenizer.json');
    const rows = files.config['vocab_size'] as number;
    const text = readFileSync(textFile, 'utf8').slice(0, 60_000);

    const cutFor = (texts: readonly string[]) => {
      const used = new Set(texts.flatMap((part) => [...before.encode(part)]));
      const plan = vocabularyPlan(files, used, rows);
      const after = makeTokenizer(
        cutTokenizer(files.tokenizer, plan.newIds),
        cutTokenizerConfig(files.tokenizerConfig, plan.newIds),
        'the cut tokenizer.json',
      );
      return { plan, after };
    };

    test('encodes any kept text to the same tokens under their new ids, and decodes it the same', () => {
      const pieces = text
        .split(/(?<=[.!?\n])/)
        .filter((piece) => piece.trim() !== '')
        .slice(0, 300);
      fc.assert(
        fc.property(fc.subarray(pieces, { minLength: 1, maxLength: 12 }), (kept) => {
          const { plan, after } = cutFor(kept);
          for (const piece of kept) {
            const ids = before.encode(piece);
            expect([...after.encode(piece)]).toEqual([...ids].map((id) => plan.newIds[id]!));
            expect(after.decode(after.encode(piece))).toBe(before.decode(ids));
          }
        }),
        { numRuns: 15 },
      );
    });

    test('can still encode a text that it was not cut for, without a loss', () => {
      const { plan, after } = cutFor(['A cat sat.']);
      expect(plan.marks.size).toBeGreaterThan(rows / 10);
      for (const other of ['Zürich, 20 °C – a naïve “test”', 'She quickly jumped over the fence.', '日本 🐦']) {
        expect(after.decode(after.encode(other))).toBe(before.decode(before.encode(other)));
      }
    });

    test('keeps what special tokens mean', () => {
      const { plan, after } = cutFor([text.slice(0, 500)]);
      expect(after.bosTokenId).toBe(before.bosTokenId === undefined ? undefined : plan.newIds[before.bosTokenId]);
      const kept = Object.values(plan.kept).reduce((sum, count) => sum + count, 0);
      expect(after.vocabularySize).toBe(kept);
      expect(plan.marks.size).toBe(rows - kept);
      expect(newIdsOf(plan.marks, rows)).toEqual(plan.newIds);
    });
  },
);

test.skipIf(sharedMissing !== undefined)(
  `logits of the tokens that stay are those of the whole model${sharedMissing === undefined ? '' : ` (skipped: ${sharedMissing})`}`,
  async () => {
    const files = filesOf('tinystories-656k');
    const tokenizer = makeTokenizer(files.tokenizer, files.tokenizerConfig, 'tokenizer.json');
    const ids = tokenizer.encode('Once upon a time there was a little bird who had very light bones.');
    const plan = vocabularyPlan(files, ids, 2048);
    const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-vocabulary-'));
    const device = await openDevice('cpu');
    const model = await openModel(sharedModel('tinystories-656k'));
    try {
      const cut = await openModel(await writeCut(model, plan.marks, folder));
      const [whole] = await logitsOf(model, [ids], device);
      const [less] = await logitsOf(cut, [ids.map((id) => plan.newIds[id]!)], device);
      await cut.checkpoint.close();
      const kept = cut.decoder.vocabulary;
      expect(kept).toBe(2048 - plan.marks.size);
      let furthest = 0;
      for (let t = 0; t < ids.length; t += 1) {
        for (const [old, id] of plan.newIds.entries()) {
          if (id !== -1) furthest = Math.max(furthest, Math.abs(whole![t * 2048 + old]! - less![t * kept + id]!));
        }
      }
      expect(furthest).toBeLessThan(1e-4);
    } finally {
      await model.checkpoint.close();
      await device.close();
      rmSync(folder, { recursive: true });
    }
  },
);
