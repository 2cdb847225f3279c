import { describe, expect, it } from 'vitest';
import { renderRun } from '../../src/cli/run-report.js';
import { deedText, storedText } from '../../src/cli/wave-deed.js';

const matrix = { rows: 10, columns: 20, bits: 4 };
const quantized = [
  { ...matrix, algorithm: 'rtn' },
  { ...matrix, rows: 30, bits: 8, algorithm: 'rtn' },
  { ...matrix, bits: 16 },
];
const factorized = [
  { ...matrix, algorithm: 'SVD', parameters: 120 },
  { ...matrix, algorithm: 'SVD', parameters: 160 },
];

describe('the deed of a wave', () => {
  it('is what it stored otherwise, by the weights, without the matrices that stay', () => {
    // (200 · 4 + 600 · 8) / 800, and 280 of 400 numbers.
    expect(storedText({ sparsity: 0, details: { quantized } })).toBe('2 matrices at 7.00 bits');
    expect(storedText({ sparsity: 0, details: { factorized } })).toBe('2 matrices as factors, 30.0 % fewer numbers');
    expect(storedText({ sparsity: 0, details: { quantized: quantized.slice(0, 1), factorized } })).toBe(
      '1 matrix at 4.00 bits; 2 matrices as factors, 30.0 % fewer numbers',
    );
  });

  it('is a sparsity where nothing is stored otherwise', () => {
    expect(deedText({ sparsity: 0.5 })).toBe('sparsity 50.0 %');
    expect(deedText({ sparsity: 0.5, details: { healing: [{}] } })).toBe('sparsity 50.0 %');
    expect(deedText({ sparsity: 0, details: { quantized: quantized.slice(2) } })).toBe('sparsity 0.0 %');
  });

  it('stands in the table of waves and below it in the place of a sparsity of nothing', () => {
    const wave = { verdict: 'committed', active: true, reason: '', figures: {} } as const;
    const text = renderRun({
      out: 'out/thin',
      manifest: 'out/thin/birdbone.json',
      diff: { json: 'thin.diff.json', markdown: 'thin.diff.md' },
      baseline: {},
      result: {},
      waves: [
        { ...wave, wave: 1, sparsity: 0.5 },
        { ...wave, wave: 2, sparsity: 0.5, details: { factorized } },
      ],
      at: { wave: 2, tensors: [] },
      sparsity: 0.5,
      reached: true,
      layers: [],
    });
    const lines = text.split('\n').map((line) => line.replace(/ {2,}/g, '  ').trim());
    expect(lines[0]).toContain('what it did');
    expect(lines).toContainEqual(expect.stringMatching(/^1 {2}sparsity 50\.0 %/));
    expect(lines).toContainEqual(expect.stringMatching(/^2 {2}2 matrices as factors, 30\.0 % fewer numbers/));
    expect(lines).toContain('sparsity  50.0 %');
    expect(lines).toContain('stored  2 matrices as factors, 30.0 % fewer numbers');
  });
});
