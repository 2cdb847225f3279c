import { describe, expect, it } from 'vitest';
import { page } from '../../src/pictures/index.js';
import { type QualityInput, qualityMarkdown, qualityPicture, qualityReport } from '../../src/quality/index.js';

const DOWN = 'model.layers.0.mlp.down_proj.weight';
const GATE = 'model.layers.1.mlp.gate_proj.weight';

const quantized = [
  { weight: DOWN, rows: 10, columns: 10, form: 'int4', bits: 4.5, algorithm: 'gptq', error: 0.1, loss: 0.02 },
  { weight: GATE, rows: 30, columns: 10, form: 'int4', bits: 4.5, algorithm: 'rtn', error: 0.3, reason: 'no Cholesky' },
  { weight: 'embed|<b>', rows: 10, columns: 10, form: 'as it is', bits: 16, reason: 'embeddings stay' },
];

const input: QualityInput = {
  names: { before: 'big_model', after: 'small' },
  format: 'gptq',
  waves: [
    { wave: 1, active: true, figures: {}, details: { quantized }, blocks: { errors: [0.01, 0.02], passages: 8 } },
  ],
  baseline: { perplexity: 10, accuracy: 0.5 },
  result: { perplexity: 11, perplexityLow: 10.5, perplexityHigh: 11.5, accuracy: 0.48, kl: 0.01 },
  bytes: { before: 1000, after: 300 },
};

describe('qualityReport', () => {
  it('divides the matrices into changed, kept and those that fell back, and averages bits by weights', () => {
    const report = qualityReport(input)!;
    expect(report.changed.map(({ weight }) => weight)).toEqual([DOWN, GATE]);
    expect(report.kept.map(({ reason }) => reason)).toEqual(['embeddings stay']);
    expect(report.fallbacks.map(({ weight }) => weight)).toEqual([GATE]);
    expect(report.bitsPerWeight).toEqual({ changed: 4.5, all: (400 * 4.5 + 100 * 16) / 500 });
    expect(report.figures[0]).toEqual({ name: 'perplexity', before: 10, after: 11, low: 10.5, high: 11.5 });
  });

  it('says nothing of a run that stores matrices as they were, and of waves that were undone', () => {
    expect(qualityReport({ ...input, waves: [{ wave: 1, active: true, figures: {} }] })).toBeUndefined();
    expect(qualityReport({ ...input, waves: [{ ...input.waves[0]!, active: false }] })).toBeUndefined();
  });

  it('keeps what an earlier step did to a matrix that a later one leaves alone', () => {
    const later = [{ ...quantized[0]!, algorithm: undefined, form: 'as it is', reason: 'factors stay' }];
    const factorized = [{ ...quantized[0]!, form: 'rank 4', algorithm: 'svd' }];
    const waves = [
      { wave: 1, active: true, figures: {}, details: { factorized } },
      { wave: 2, active: true, figures: {}, details: { quantized: later } },
    ];
    expect(qualityReport({ ...input, waves })?.changed.map(({ form }) => form)).toEqual(['rank 4']);
  });
});

describe('a budget', () => {
  const spent = { bytes: 240, budgetBytes: 250, weights: 400 };
  const pageOf = (budget: object) => {
    const waves = [{ wave: 1, active: true, figures: {}, details: { quantized, budget: [budget] } }];
    return qualityMarkdown(qualityReport({ ...input, waves })!);
  };

  it('is shown in the terms in which it was given, with what of it is unused', () => {
    expect(pageOf(spent)).toContain('| bits a weight: allowed, spent | 5.000 | 4.800 (4.00 % unused) |');
    const bytes = pageOf({ ...spent, published: { bytes: 990, budgetBytes: 1000 } });
    expect(bytes).toContain('| bytes of all tensors: allowed, spent | 1,000 | 990 (1.00 % unused) |');
    expect(pageOf({ ...spent, reason: 'no text' })).toContain('one form for all: no text');
    expect(qualityMarkdown(qualityReport(input)!)).not.toContain('allowed');
  });
});

describe('the pages', () => {
  it('say sizes, figures, reasons and errors, and let no markup out of a name', async () => {
    const report = qualityReport(input)!;
    const markdown = qualityMarkdown(report);
    for (const said of ['300 (30.0 %)', '10.500 to 11.500', 'no Cholesky', '30.00 %', '2.00 %', 'big\\_model']) {
      expect(markdown).toContain(said);
    }
    expect(markdown).toContain('embed\\|\\<b\\>');
    const html = page(await qualityPicture(report));
    expect(html).toContain('embed|&#60;b&#62;');
    expect(html).toContain('<svg');
    expect(page(await qualityPicture(report))).toBe(html);
  });
});
