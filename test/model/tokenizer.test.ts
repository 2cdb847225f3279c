import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Tokenizer as Library } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../src/model/index.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';

const VOCABULARIES = { 'tinystories-656k': 2048, stories260k: 512, 'novels-5m': 4096 } as const;
const BOS = { 'tinystories-656k': 1, stories260k: 1, 'novels-5m': 0 } as const;

describe.skipIf(sharedMissing !== undefined)(sharedMissing ?? 'the tokenizers of the real checkpoints', () => {
  describe.each(['tinystories-656k', 'stories260k', 'novels-5m'] as const)('%s', (name) => {
    let tokenizer: Tokenizer;
    let library: { encode(text: string, options: object): { ids: number[] } };
    beforeAll(async () => {
      tokenizer = await loadTokenizer(sharedModel(name));
      const json = (file: string) => JSON.parse(readFileSync(path.join(sharedModel(name), file), 'utf8'));
      library = new Library(json('tokenizer.json'), json('tokenizer_config.json'));
    });
    const libraryIds = (text: string) => library.encode(text, { add_special_tokens: false }).ids;

    it('knows its size and its beginning-of-sequence id', () => {
      expect(tokenizer.vocabularySize).toBe(VOCABULARIES[name]);
      expect(tokenizer.bosTokenId).toBe(BOS[name]);
    });

    it('is found from the weights file too', async () => {
      const other = await loadTokenizer(path.join(sharedModel(name), 'model.safetensors'));
      expect([...other.encode('a house')]).toEqual([...tokenizer.encode('a house')]);
    });

    it('adds no special tokens', () => {
      expect([...tokenizer.encode('')]).toEqual([]);
      expect([...tokenizer.encode('a')]).not.toContain(tokenizer.bosTokenId);
    });

    it.each([
      ['tinystories-1000', 'calibration.txt', 0],
      ['novels', 'eval.txt', 1000],
      ['wikitext-2', 'test.txt', 5000],
    ])('gives the ids of the library for a long piece of %s/%s', (folder, file, start) => {
      const text = readFileSync(sharedData(folder, file), 'utf8').slice(start, start + 30_000);
      expect([...tokenizer.encode(text)]).toEqual(libraryIds(text));
    });

    it('gives the ids of the library for any text, on both sides of the length where the merging changes hands', () => {
      const words = fc.constantFrom(
        ' once',
        ' upon',
        'a',
        't',
        'he',
        '▁',
        ' ',
        '\n',
        'é',
        '😀',
        '<unk>',
        '<|eos|>',
        '\u0000',
      );
      const texts = fc.array(words, { minLength: 0, maxLength: 300 }).map((parts) => parts.join(''));
      fc.assert(
        fc.property(texts, (text) => {
          expect([...tokenizer.encode(text)]).toEqual(libraryIds(text));
        }),
      );
    });

    it('reads back what it wrote', () => {
      const text = readFileSync(sharedData('tinystories-1000', 'eval.txt'), 'utf8').slice(0, 3000);
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      expect(tokenizer.decode([])).toBe('');
    });

    it('encodes and decodes the continuations of reference.json', () => {
      const reference = JSON.parse(readFileSync(path.join(sharedModel(name), 'reference.json'), 'utf8'));
      for (const { prompt, prompt_ids, generated_ids, text } of reference.greedy) {
        const start = name === 'novels-5m' ? 0 : 1;
        expect([...tokenizer.encode(prompt)]).toEqual(prompt_ids.slice(start));
        expect(tokenizer.decode([...prompt_ids.slice(start), ...generated_ids])).toBe(text);
      }
    });
  });

  it('encodes a whole calibration file without word borders as one text', async () => {
    const tokenizer = await loadTokenizer(sharedModel('tinystories-656k'));
    const text = readFileSync(sharedData('tinystories-1000', 'calibration.txt'), 'utf8');
    // The library's own merge gives this many in ten times the time.
    expect(tokenizer.encode(text).length).toBe(180_233);
  });

  it('gives the documented number of tokens for the novels', async () => {
    const tokenizer = await loadTokenizer(sharedModel('novels-5m'));
    const count = (file: string) => tokenizer.encode(readFileSync(sharedData('novels', file), 'utf8')).length;
    expect([count('eval.txt'), count('calibration.txt')]).toEqual([124_439, 173_801]);
  });

  describe('tokenizer_config.json', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-tokenizer-'));
    beforeAll(() => cpSync(path.join(sharedModel('novels-5m'), 'tokenizer.json'), path.join(folder, 'tokenizer.json')));
    afterAll(() => rmSync(folder, { recursive: true }));
    const bosOf = async (config: object) => {
      writeFileSync(path.join(folder, 'tokenizer_config.json'), JSON.stringify(config));
      return (await loadTokenizer(folder)).bosTokenId;
    };

    it('names the beginning-of-sequence token as a string, as an object, or not at all', async () => {
      expect(await bosOf({ bos_token: '<|eos|>' })).toBe(1);
      expect(await bosOf({ bos_token: { content: '<|bos|>', lstrip: false } })).toBe(0);
      expect(await bosOf({ bos_token: null })).toBeUndefined();
      expect(await bosOf({})).toBeUndefined();
      expect(await bosOf({ bos_token: 'no such token' })).toBeUndefined();
    });

    it('says how a text writes its end', async () => {
      await bosOf({ eos_token: { content: '<|eos|>' } });
      expect((await loadTokenizer(folder)).endOfSequence).toBe('<|eos|>');
      await bosOf({});
      expect('endOfSequence' in (await loadTokenizer(folder))).toBe(false);
    });
  });
});
