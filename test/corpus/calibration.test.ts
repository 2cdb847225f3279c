import { describe, expect, it } from 'vitest';
import { MIN_GATE_PREDICTIONS, readCalibration, splitCalibration } from '../../src/corpus/index.js';
import { temporaryFile } from './files.js';
import { idsOf, wordTokenizer } from './word-tokenizer.js';

const tokenizer = wordTokenizer();
const words = (count: number) => Array.from({ length: count }, (_, i) => 'x'.repeat((i % 7) + 1)).join(' ');
const lengths = (from: number, count: number) => Array.from({ length: count }, (_, i) => ((from + i) % 7) + 1);

describe('readCalibration', () => {
  it('returns the first windows of the file', async () => {
    const file = temporaryFile('a.txt', words(10));
    const read = await readCalibration(file, tokenizer, { windows: 2, context: 4, maxContext: 8 });
    expect(idsOf(read.passages)).toEqual([lengths(0, 4), lengths(4, 4)]);
    expect(read.source.name).toBe('a.txt');
  });

  it('refuses a file with fewer windows than were asked for', async () => {
    const file = temporaryFile('a.txt', words(11));
    await expect(readCalibration(file, tokenizer, { windows: 3, context: 4, maxContext: 8 })).rejects.toMatchObject({
      code: 'usage',
      message: 'a.txt has 11 tokens: 2 windows of 4, and 3 were asked for.',
      suggestions: ['Use --calibration-windows 2 or fewer.', 'Use a longer calibration text.'],
    });
  });

  it('refuses a context that the model was not made for', async () => {
    const file = temporaryFile('a.txt', words(11));
    await expect(readCalibration(file, tokenizer, { windows: 1, context: 9, maxContext: 8 })).rejects.toThrow(
      /longer than/,
    );
  });
});

describe('splitCalibration', () => {
  const options = { tokenizer, protocol: 'windows', context: 3, maxContext: 8 } as const;

  it('gives calibration the first windows and evaluation what comes after, with a context of its own', async () => {
    const file = temporaryFile('a.txt', words(16));
    const split = await splitCalibration({ file, windows: 2, context: 4 }, { ...options, limit: 2 });
    expect(idsOf(split.calibration.passages)).toEqual([lengths(0, 4), lengths(4, 4)]);
    expect(idsOf(split.evaluation.passages)).toEqual([lengths(8, 3), lengths(11, 3)]);
    expect(split.evaluation.skippedTokens).toBe(8);
    expect(split.evaluation.source).toEqual(split.calibration.source);
  });

  it('says how much is missing when too little is left, and what would leave enough', async () => {
    const needed = Math.ceil(MIN_GATE_PREDICTIONS / 2) * 3;
    const text = { windows: 100, context: 4 };
    const enough = temporaryFile('enough.txt', words(400 + needed));
    const split = await splitCalibration({ file: enough, ...text }, options);
    expect(split.evaluation.passages).toHaveLength(needed / 3);
    const short = temporaryFile('short.txt', words(399 + needed));
    await expect(splitCalibration({ file: short, ...text }, options)).rejects.toMatchObject({
      code: 'usage',
      message: `short.txt has ${399 + needed} tokens; calibration takes 400 (100 windows of 4), and the gate needs at least ${needed} of the ${needed - 1} that are left.`,
      suggestions: ['Give the gate a text of its own: --data FILE', 'Leave more: --calibration-windows 99'],
    });
  });

  it('refuses the documents protocol, whose passages calibration may have seen', async () => {
    const file = temporaryFile('a.txt', words(16));
    const documents = { ...options, protocol: 'documents' } as const;
    await expect(splitCalibration({ file, windows: 2, context: 4 }, documents)).rejects.toMatchObject({
      code: 'usage',
      suggestions: ['Give the gate a text of its own: --data FILE', 'Use --protocol windows.'],
    });
  });
});
