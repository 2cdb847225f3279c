import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metrics } from '../../src/importance/index.js';
import { score } from '../../src/scoring/index.js';
import { fileBytes } from '../fixtures/safetensors-file.js';
import { makeWorkplace } from '../fixtures/workplace.js';
import { parseMarkup } from '../pictures/parse-markup.js';
import { TINY_LLAMA, tinyModel } from '../reference/tiny-model.js';

// The model of the workplace, in memory.
const { tensors } = tinyModel(TINY_LLAMA);
const HIDDEN = 32;

let folder: string;
let model: string;
beforeAll(() => {
  folder = makeWorkplace();
  model = path.join(folder, 'models', 'fledgling');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const valuesOf = (name: string): readonly number[] => Array.from(tensors.get(name)!.values);
const patternedFloats = (count: number): Uint8Array =>
  new Uint8Array(Float32Array.from({ length: count }, (_, i) => Math.sin(i + 1) * 3).buffer);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const rowsOf = (values: readonly number[], columns: number): number[][] =>
  Array.from({ length: values.length / columns }, (_, row) => values.slice(row * columns, (row + 1) * columns));

interface ScoreFile {
  readonly metric: string;
  readonly weights: string;
  readonly matrices: readonly {
    readonly metric: string;
    readonly name: string;
    readonly block: number;
    readonly role: string;
    readonly all: { readonly count: number; readonly mean: number; readonly max: number };
    readonly byRow: { readonly mean: readonly number[] };
    readonly byHead?: { readonly mean: readonly number[] };
  }[];
}

describe('score', () => {
  it('writes the magnitude of every linear weight, by matrix, row and head', async () => {
    const out = path.join(folder, 'magnitude.json');
    const result = await score({ model, metric: 'magnitude', out, device: 'cpu' });
    const file = JSON.parse(readFileSync(out, 'utf8')) as ScoreFile;
    expect(file.metric).toBe('magnitude');
    expect(file.weights).toBe(result.weights);
    expect(file.matrices.map(({ block, role }) => `${block} ${role}`)).toEqual(
      [0, 1].flatMap((block) => ['q', 'k', 'v', 'o', 'gate', 'up', 'down'].map((role) => `${block} ${role}`)),
    );
    for (const { name, all, byRow } of file.matrices) {
      const magnitudes = valuesOf(name).map(Math.abs);
      expect(all.count).toBe(magnitudes.length);
      expect(all.mean).toBeCloseTo(mean(magnitudes), 6);
      expect(all.max).toBeCloseTo(Math.max(...magnitudes), 6);
      const rows = rowsOf(magnitudes, magnitudes.length / byRow.mean.length);
      expect(byRow.mean[1]).toBeCloseTo(mean(rows[1] ?? []), 6);
    }
    const query = file.matrices.find(({ role }) => role === 'q')!;
    const headRows = rowsOf(valuesOf(query.name).map(Math.abs), HIDDEN).slice(8, 16);
    expect(query.byHead?.mean[1]).toBeCloseTo(mean(headRows.flat()), 6);
  });

  it('weighs in the activations of the unchanged model by Wanda', async () => {
    const out = path.join(folder, 'wanda.json');
    const calibration = { file: path.join(model, 'calibration.txt'), windows: 3, context: 16 };
    await score({ model, metric: 'wanda', out, calibration, device: 'cpu' });
    const file = JSON.parse(readFileSync(out, 'utf8')) as ScoreFile;
    // What enters the first block's q: the embeddings of the first 3 × 16 letters after their norm.
    const letters = [...readFileSync(calibration.file, 'utf8')].slice(0, 48);
    const ids = letters.map((letter) => ['<s>', ' ', ...'abcdefghijklmnopqrstuvwxyz.'].indexOf(letter));
    const embedding = rowsOf(valuesOf('model.embed_tokens.weight'), HIDDEN);
    const gain = valuesOf('model.layers.0.input_layernorm.weight');
    const squares = new Array<number>(HIDDEN).fill(0);
    for (const id of ids) {
      const row = embedding[id]!;
      const scale = 1 / Math.sqrt(mean(row.map((value) => value * value)) + 1e-5);
      row.forEach((value, column) => {
        squares[column]! += (value * scale * gain[column]!) ** 2;
      });
    }
    const name = 'model.layers.0.self_attn.q_proj.weight';
    const scores = rowsOf(valuesOf(name), HIDDEN).map((row) =>
      row.map((value, column) => Math.abs(value) * Math.sqrt(squares[column]!)),
    );
    const query = file.matrices.find((matrix) => matrix.name === name)!;
    expect(query.all.mean / mean(scores.flat())).toBeCloseTo(1, 5);
    expect(query.byRow.mean[5]! / mean(scores[5]!)).toBeCloseTo(1, 5);
  });

  it('writes a table for .csv, and nothing on a dry run', async () => {
    const out = path.join(folder, 'scores.csv');
    const dry = await score({ model, metric: 'magnitude', out, device: 'cpu', dryRun: true });
    expect(dry.written).toBe(false);
    expect(() => readFileSync(out)).toThrow('ENOENT');
    await score({ model, metric: 'magnitude', out, device: 'cpu' });
    const [header, first] = readFileSync(out, 'utf8').split('\n');
    expect(header).toMatch(/^metric,name,level,index,mean,max/);
    expect(first).toMatch(/^magnitude,model\.layers\.0\.self_attn\.q_proj\.weight,matrix,,0\.\d+/);
  });

  it('counts what stays above a threshold, by matrix and in all', async () => {
    const out = path.join(folder, 'threshold.csv');
    const keepAbove = 0.02;
    const { threshold } = await score({ model, metric: 'magnitude', out, device: 'cpu', keepAbove });
    let [kept, all] = [0, 0];
    for (const matrix of threshold!.matrices) {
      const magnitudes = valuesOf(matrix.name).map(Math.abs);
      const above = magnitudes.filter((value) => value > keepAbove).length;
      expect(matrix).toMatchObject({ kept: above, removed: magnitudes.length - above });
      kept += above;
      all += magnitudes.length;
    }
    expect(threshold).toMatchObject({ keepAbove, kept, removed: all - kept, sparsity: (all - kept) / all });
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(all);
    const lines = readFileSync(out, 'utf8').split('\n');
    expect(lines[1]).toMatch(new RegExp(`,${threshold!.matrices[0]!.kept}$`));
  });

  it('scores by every metric, compares them, and draws all that', async () => {
    const out = path.join(folder, 'all.json');
    const calibration = { file: path.join(model, 'calibration.txt'), windows: 3, context: 16 };
    const [metric = '', ...compare] = metrics.names;
    const picture = path.join(folder, 'all.html');
    const options = { model, metric, compare, out, picture, calibration, device: 'cpu' } as const;
    const result = await score({ ...options, keepAbove: 0.02, sparsity: 0.5 });
    const file = JSON.parse(readFileSync(out, 'utf8')) as ScoreFile & { comparisons: unknown };
    expect(file.matrices.map((matrix) => matrix.metric)).toEqual(
      Array.from({ length: 14 }, () => metrics.names).flat(),
    );
    expect(file.comparisons).toEqual(JSON.parse(JSON.stringify(result.comparisons)));
    for (const comparison of result.comparisons!) {
      expect(comparison.matrices).toHaveLength(14);
      expect(comparison.all.overlap).toBeGreaterThan(0);
      expect(comparison.all.overlap).toBeLessThan(1);
      expect(comparison.all.rankCorrelation).toBeGreaterThan(0);
    }
    const { text, elements } = parseMarkup(readFileSync(picture, 'utf8'));
    for (const name of metrics.names) expect(text).toContain(`Mean ${name} score of each layer`);
    expect(elements.filter((name) => name === 'figure')).toHaveLength(2 * metrics.names.length + compare.length);
    expect(elements).not.toContain('script');
  });

  it('draws the same bytes each time', async () => {
    const picture = path.join(folder, 'same.svg');
    const run = () =>
      score({ model, metric: 'magnitude', out: path.join(folder, 'same.json'), picture, device: 'cpu' });
    await run();
    const first = readFileSync(picture, 'utf8');
    expect(parseMarkup(first).elements[0]).toBe('svg');
    await run();
    expect(readFileSync(picture, 'utf8')).toBe(first);
  });

  it('takes names from a hostile checkpoint as text', async () => {
    const names = [
      '<script>alert(1)</script>',
      'h.0."><svg onload=alert(1)>',
      'h.1.a,"b"\r\n=1+1',
      '\u202ereversed\u0000',
    ];
    const entries = names.map((name, i) => [
      name,
      { dtype: 'F32', shape: [2, 3], data_offsets: [24 * i, 24 * i + 24] },
    ]);
    const hostile = path.join(folder, 'hostile.safetensors');
    writeFileSync(hostile, fileBytes(Object.fromEntries(entries), patternedFloats(6 * names.length)));
    const compare = { metric: 'magnitude', keepAbove: 1, model: hostile, device: 'cpu' } as const;
    for (const format of ['html', 'svg']) {
      const picture = path.join(folder, `hostile.${format}`);
      await score({ ...compare, out: path.join(folder, 'hostile.csv'), picture });
      const { elements, attributes, text } = parseMarkup(readFileSync(picture, 'utf8'));
      expect(elements).not.toContain('script');
      expect(attributes.filter((name) => name.startsWith('on'))).toEqual([]);
      expect(text).toContain('<script>alert(1)</script>');
      expect(text).toContain('\\u{202e}reversed\\u{0}');
    }
    const csv = readFileSync(path.join(folder, 'hostile.csv'), 'utf8');
    expect(csv).toContain('magnitude,"h.1.a,""b""\r\n=1+1",matrix,');
  });

  it.each([
    [{ metric: 'wanda', out: 'x.json' }, /no calibration text/],
    [{ metric: 'magnitude', out: 'x.txt' }, /must end in \.json or \.csv/],
    [{ metric: 'magnitude', out: 'x.json', picture: 'x.png' }, /must end in \.html or \.svg/],
    [{ metric: 'magnitude', out: 'no/such/x.json' }, /is no folder/],
    [{ metric: 'magnitude', compare: ['magnitude'], out: 'x.json' }, /compared with itself/],
    [{ metric: 'magnitude', compare: ['fisher'], out: 'x.json' }, /The metric fisher .* no calibration text/],
    [{ metric: 'tailor', out: 'x.json' }, /There is no metric "tailor"/],
  ])('refuses %j before any work', async (options, message) => {
    await expect(score({ model, device: 'cpu', ...options })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(message),
    });
  });
});
