import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';
import { logitsOf, multiply } from './forward.js';
import { loadReferenceModel, readTensors, readWindows } from './load.js';
import { importance, keepMask } from './pruning.js';
import { evaluateReference, pruneReference } from './reference.js';

const weightOf = (rows: number, values: number[]) => ({
  rows,
  columns: values.length / rows,
  values: Float64Array.from(values),
});

describe('the reference, by hand', () => {
  it('multiplies any shape: tiles and their rests', () => {
    for (const [tokens, outs, width] of [
      [1, 1, 1],
      [2, 4, 3],
      [3, 5, 2],
      [5, 7, 4],
      [4, 3, 6],
    ] as const) {
      const x = Float64Array.from({ length: tokens * width }, (_, i) => Math.sin(i));
      const w = weightOf(
        outs,
        Array.from({ length: outs * width }, (_, i) => Math.cos(i)),
      );
      const y = multiply(x, w);
      for (let token = 0; token < tokens; token++) {
        for (let out = 0; out < outs; out++) {
          let sum = 0;
          for (let k = 0; k < width; k++) sum += Math.sin(token * width + k) * Math.cos(out * width + k);
          expect(y[token * outs + out]).toBeCloseTo(sum, 12);
        }
      }
    }
  });

  it('ranks magnitudes in the matrix, Wanda scores in the row, N:M in its groups', () => {
    const weight = weightOf(2, [1, -2, 3, -4, /**/ 5, -6, 7, -8]);
    const squares = Float64Array.of(100, 1, 1, 1);
    const keep = (method: 'magnitude' | 'wanda', pattern: string) => [
      ...keepMask(importance(weight, method, squares), weight, method, pattern),
    ];
    expect(keep('magnitude', '50%')).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    // Scores 10 2 3 4 / 50 6 7 8.
    expect(keep('wanda', '50%')).toEqual([1, 0, 0, 1, 1, 0, 0, 1]);
    expect(keep('magnitude', '1:2')).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
    expect(keep('wanda', '2:3')).toEqual([1, 0, 1, 1, 1, 0, 1, 1]);
  });
});

describe.skipIf(sharedMissing)(`the reference on real checkpoints${sharedMissing ? `: ${sharedMissing}` : ''}`, () => {
  it.each(['tinystories-656k', 'stories260k', 'novels-5m'])('has the published logits of %s', (name) => {
    const published = readTensors(path.join(sharedModel(name), 'reference-logits.safetensors'));
    const ids = Int32Array.from(published.get('input_ids')!.values);
    const expected = published.get('logits')!.values;
    const logits = logitsOf(loadReferenceModel(sharedModel(name)), ids);
    expect(logits.length).toBe(expected.length);
    let worst = 0;
    for (const [i, value] of logits.entries()) worst = Math.max(worst, Math.abs(value - expected[i]!));
    expect(worst).toBeLessThan(1e-4);
  });

  it('gives the same figures on one thread and on two, dense and pruned', async () => {
    const folder = sharedModel('stories260k');
    const passages = readWindows(folder, sharedData('tinystories-1000', 'eval.txt'), 64, 6);
    const figures = [];
    for (const threads of [0, 2]) {
      const model = loadReferenceModel(folder);
      const dense = await evaluateReference(model, passages, threads);
      await pruneReference(model, { method: 'wanda', pattern: '2:4', windows: passages, threads });
      figures.push({ dense, pruned: await evaluateReference(model, passages, threads) });
    }
    expect(figures[1]).toEqual(figures[0]);
    expect(figures[0]!.pruned.perplexity).toBeGreaterThan(figures[0]!.dense.perplexity * 1.05);
  });
});
