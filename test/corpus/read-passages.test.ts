import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitDocuments } from '../../src/corpus/documents.js';
import { readPassages } from '../../src/corpus/index.js';
import { windowsOf } from '../../src/corpus/windows.js';
import { temporaryFile } from './files.js';
import { idsOf, wordTokenizer } from './word-tokenizer.js';

const tokenizer = wordTokenizer({ bos: 0, endOfSequence: '<|eos|>' });
const windows = { protocol: 'windows', context: 3, maxContext: 8 } as const;
const documents = { ...windows, protocol: 'documents' } as const;

/** The tokenizer, and the texts that it was given. */
function recordingTokenizer() {
  const seen: string[] = [];
  const encode = (text: string) => {
    seen.push(text);
    return tokenizer.encode(text);
  };
  return { recording: { ...tokenizer, encode }, seen };
}

describe('windows', () => {
  it('encodes the file once without BOS and drops what does not fill a window', async () => {
    const file = temporaryFile('a.txt', 'a bb ccc\ndddd eeeee ffffff g');
    const read = await readPassages(file, tokenizer, windows);
    expect(idsOf(read.passages)).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(read).toMatchObject({ protocol: 'windows', context: 3, dropped: 0, skippedTokens: 0 });
    expect(read.source.name).toBe('a.txt');
  });

  it('joins the documents of a JSONL file by a blank line', async () => {
    const { recording, seen } = recordingTokenizer();
    const file = temporaryFile('a.jsonl', '{"text":"a bb"}\n{"text":"ccc"}\n');
    expect(idsOf((await readPassages(file, recording, windows)).passages)).toEqual([[1, 2, 3]]);
    expect(seen).toEqual(['a bb\n\nccc']);
  });

  it('takes the first `limit`', async () => {
    const file = temporaryFile('a.txt', 'a a a bb bb bb ccc ccc ccc');
    expect(idsOf((await readPassages(file, tokenizer, { ...windows, limit: 2 })).passages)).toEqual([
      [1, 1, 1],
      [2, 2, 2],
    ]);
    expect((await readPassages(file, tokenizer, { ...windows, limit: 9 })).passages).toHaveLength(3);
  });

  it('cut the ids in order, from the start on, none twice', () => {
    const cases = fc.tuple(
      fc.nat(60),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(70),
      fc.option(fc.nat(9), { nil: undefined }),
    );
    fc.assert(
      fc.property(cases, ([length, context, start, limit]) => {
        const ids = Int32Array.from({ length }, (_, i) => i);
        const cut = windowsOf(ids, { context, start, limit });
        expect(cut.every((window) => window.ids.length === context)).toBe(true);
        expect(cut.flatMap((window) => [...window.ids])).toEqual([
          ...ids.subarray(start, start + cut.length * context),
        ]);
        const whole = Math.floor(Math.max(0, length - start) / context);
        expect(cut).toHaveLength(Math.min(whole, limit ?? whole));
      }),
    );
  });

  it('refuses a text shorter than one window, and says which context would do', async () => {
    const file = temporaryFile('a.txt', 'a b');
    await expect(readPassages(file, tokenizer, windows)).rejects.toMatchObject({
      code: 'usage',
      message: 'a.txt has 2 tokens; one window needs 3.',
      suggestions: ['Use a longer text.', 'Use --context 2 or less.'],
    });
  });
});

describe('documents', () => {
  it('puts BOS before each line of a JSONL file, cuts at the context, drops what holds nothing', async () => {
    const file = temporaryFile(
      'a.jsonl',
      '{"text":"a bb"}\n{"text":" "}\n{"text":"a bb ccc dddd"}\n{"text":"eeeee"}\n',
    );
    const read = await readPassages(file, tokenizer, documents);
    expect(idsOf(read.passages)).toEqual([
      [0, 1, 2],
      [0, 1, 2],
      [0, 5],
    ]);
    expect(read.dropped).toBe(1);
  });

  it('counts what it drops outside the limit, and encodes no more than it needs', async () => {
    const file = temporaryFile(
      'a.jsonl',
      ['.', 'a', '.', 'bb', 'ccc', '.'].map((text) => JSON.stringify({ text })).join('\n'),
    );
    const { recording, seen } = recordingTokenizer();
    const read = await readPassages(file, recording, { ...documents, limit: 2 });
    expect(idsOf(read.passages)).toEqual([
      [0, 1],
      [0, 2],
    ]);
    expect(read.dropped).toBe(2);
    expect(seen).toEqual(['.', 'a', '.', 'bb']);
  });

  it('splits a text at the known markers and at the one of the tokenizer', async () => {
    const file = temporaryFile('a.txt', 'a\n<|endoftext|>\nbb</s>ccc\r\n<|eos|>\r\n\r\n dddd<|endoftext|>');
    const read = await readPassages(file, tokenizer, documents);
    expect(idsOf(read.passages)).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
      [0, 4],
    ]);
  });

  const splits: [string, string | undefined, string[]][] = [
    ['one', undefined, ['one']],
    ['', undefined, []],
    ['a</s>b', undefined, ['a', 'b']],
    ['a\n\n<|endoftext|>\n\nb', undefined, ['a\n', '\nb']],
    ['a<|endoftext|><|endoftext|>\n</s>b', undefined, ['a', 'b']],
    ['a[END](x)b', '[END](x)', ['a', 'b']],
    ['a<|end|>b', undefined, ['a<|end|>b']],
    ['a<|end|>b', '<|end|>', ['a', 'b']],
  ];
  it.each(splits)('splits %j with end token %j', (text, endOfSequence, expected) => {
    expect(splitDocuments(text, endOfSequence)).toEqual(expected);
  });

  it('takes a text without a marker as one document, unless only its beginning would be scored', async () => {
    const short = await readPassages(temporaryFile('a.txt', 'a bb'), tokenizer, documents);
    expect(idsOf(short.passages)).toEqual([[0, 1, 2]]);
    const long = temporaryFile('long.txt', 'a bb ccc');
    await expect(readPassages(long, tokenizer, documents)).rejects.toMatchObject({
      code: 'usage',
      message: /long\.txt has no end-of-text marker: it is one document of 3 tokens, of which only the first 2/,
    });
    const marked = await readPassages(temporaryFile('a.txt', 'a bb ccc</s>'), tokenizer, documents);
    expect(idsOf(marked.passages)).toEqual([[0, 1, 2]]);
  });

  it('refuses a tokenizer without BOS and a text without documents', async () => {
    const file = temporaryFile('a.txt', 'a bb');
    await expect(readPassages(file, wordTokenizer(), documents)).rejects.toMatchObject({
      code: 'usage',
      message: /BOS/,
    });
    const empty = temporaryFile('b.jsonl', '{"text":""}');
    await expect(readPassages(empty, tokenizer, documents)).rejects.toMatchObject({ message: /no document/ });
  });
});

describe('the context', () => {
  it.each([
    [9, /9 tokens is longer than the model's 8/],
    [1, /nothing to predict/],
    [2.5, /must be 2 or more/],
  ])('of %d tokens is refused before the file is read', async (context, message) => {
    const options = { ...windows, context };
    await expect(readPassages('/nowhere/a.txt', tokenizer, options)).rejects.toMatchObject({ code: 'usage', message });
  });
});
