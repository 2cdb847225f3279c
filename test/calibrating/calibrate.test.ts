import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CalibrateOptions, calibrate } from '../../src/calibrating/index.js';
import { readCalibration } from '../../src/corpus/index.js';
import { loadTokenizer } from '../../src/model/index.js';
import { makeWorkplace } from '../fixtures/workplace.js';

let workplace: string;
const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-calibrate-'));
beforeAll(() => {
  workplace = makeWorkplace();
});
afterAll(() => {
  for (const made of [folder, workplace]) rmSync(made, { recursive: true, force: true });
});

/** 40 stories of different words, and one of them again. */
function storiesFile(name: string, letter: string): string {
  const story = (number: number) =>
    Array.from({ length: 20 }, (_, i) => `${letter.repeat(1 + (i % 3))}${'xyz'[number % 3]}${'abcdefgh'[i % 8]}`).join(
      ' ',
    ) + ` ${letter}${[...String(number)].map((digit) => 'jklmnopqrs'[Number(digit)]).join('')}`.repeat(20);
  const file = path.join(folder, name);
  const texts = [...Array(40).keys(), 7].map((number) => JSON.stringify({ text: story(number) }));
  writeFileSync(file, texts.join('\n'));
  return file;
}

function options(rest: Partial<CalibrateOptions>): CalibrateOptions {
  const model = path.join(workplace, 'models', 'fledgling');
  const out = path.join(folder, `${Math.random()}.json`);
  return { sources: [], model, out, windows: 4, context: 32, choice: 'random', seed: 0, device: 'cpu', ...rest };
}

describe('calibrate', () => {
  it('makes a file that calibrates, balanced over its sources, each story once, with the hash it says', async () => {
    const sources = [storiesFile('one.jsonl', 'a'), storiesFile('two.jsonl', 'b')];
    const made = await calibrate(options({ sources, windows: 16 }));
    for (const { duplicates, chosen } of made.description.sources) {
      expect(duplicates.exact).toBeGreaterThanOrEqual(1);
      expect(chosen.tokens).toBeGreaterThan(0.8 * 8 * 32);
    }
    const tokenizer = await loadTokenizer(path.join(workplace, 'models', 'fledgling'));
    const read = await readCalibration(made.out, tokenizer, { windows: 1000, context: 32, maxContext: 64 });
    expect(read.passages.length).toBe(made.description.passages);
    expect(read.passages.reduce((sum, { ids }) => sum + ids.length, 0)).toBe(made.description.tokens);
    expect(read.source.sha256).toBe(made.sha256);
    expect(read.notices).toEqual([]);
  });

  it('makes the same bytes again, others with another seed', async () => {
    const sources = [storiesFile('same.jsonl', 'c')];
    const bytes = async (seed: number) => readFileSync((await calibrate(options({ sources, seed }))).out, 'utf8');
    expect(await bytes(1)).toBe(await bytes(1));
    expect(await bytes(1)).not.toBe(await bytes(2));
  });

  it('takes what a glob finds for one source, and a file that was named before not again', async () => {
    const first = storiesFile('glob-1.jsonl', 'd');
    storiesFile('glob-2.jsonl', 'e');
    const made = await calibrate(options({ sources: [first, path.join(folder, 'glob-*.jsonl')] }));
    expect(made.description.sources.map(({ files }) => files.map(({ name }) => name))).toEqual([
      ['glob-1.jsonl'],
      ['glob-2.jsonl'],
    ]);
  });

  it('takes nothing from a text that results will be measured on', async () => {
    const file = storiesFile('leaking.jsonl', 'f');
    const apart = path.join(folder, 'test.txt');
    writeFileSync(apart, JSON.parse(readFileSync(file, 'utf8').split('\n')[3]!).text);
    const made = await calibrate(options({ sources: [file], apartFrom: [apart], context: 256 }));
    expect(made.description.sources[0]?.heldOut).toBeGreaterThan(0);
    expect(made.apartFrom?.map(({ name }) => name)).toEqual(['test.txt']);
  });

  it('says how much of the range of activations the set reaches', async () => {
    const made = await calibrate(options({ sources: [storiesFile('ranges.jsonl', 'g')], activations: true }));
    const { activations } = made.description;
    expect(activations?.sample.passages).toBeGreaterThan(made.description.passages);
    expect(activations?.mean).toBeGreaterThan(0.3);
    expect(activations?.mean).toBeLessThan(1);
    expect(activations?.blocks.length).toBe(2);
  });

  it('writes nothing in a dry run', async () => {
    const made = await calibrate(options({ sources: [storiesFile('dry.jsonl', 'h')], dryRun: true }));
    expect(made.written).toBe(false);
    expect(existsSync(made.out)).toBe(false);
  });

  it.each([
    ['a folder that is not there', () => path.join(folder, 'none', 'set.json'), 'is no folder'],
    ['a folder', () => folder, 'it is a folder'],
  ])('refuses to write to %s, before any work', async (_, out, said) => {
    const made = calibrate(options({ sources: ['nothing-here.txt'], out: out() }));
    await expect(made).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(said) });
  });

  it.each([
    ['a glob that finds nothing', () => ['nothing-here/*.txt'], 'No file fits'],
    ['a folder', () => [folder], 'is a folder'],
    ['texts that are too short', () => [storiesFile('short.jsonl', 'i')], 'windows of 32 are'],
  ])('refuses %s', async (_, sources, said) => {
    const few = options({ sources: sources(), windows: 100_000 });
    await expect(calibrate(few)).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(said) });
  });
});
