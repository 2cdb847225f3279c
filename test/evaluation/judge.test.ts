import { describe, expect, it } from 'vitest';
import { type Comparison, defaultGate, type Figures, judge, parseGate } from '../../src/evaluation/index.js';

const figures = (perplexity: number, accuracy: number): Figures => ({
  perplexity,
  accuracy,
  tokens: 1000,
  passages: 10,
  intervals: {},
});
const base = figures(65.3, 0.25);
const now = figures(67.4, 0.245);
const comparison: Comparison = {
  accuracyLoss: 0.02,
  perplexityRatio: 1.0322,
  kl: 0.04,
  agreement: 0.9,
  intervals: { accuracyLoss: [0.01, 0.031], perplexityRatio: [1.02, 1.05], kl: [0.03, 0.05], agreement: [0.88, 0.92] },
};

function verdict(gate: string, changed: Partial<Comparison> = {}, confident = false) {
  return judge(parseGate(gate), { base, now, comparison: { ...comparison, ...changed }, confident });
}

describe('judge', () => {
  const cases: [gate: string, changed: Partial<Comparison>, pass: boolean][] = [
    ['accuracy<3%', {}, true],
    ['accuracy<2%', {}, false],
    ['accuracy<=2%', {}, true],
    ['accuracy<3%', { accuracyLoss: -0.5 }, true],
    ['accuracy<0%', { accuracyLoss: 0 }, false],
    ['accuracy<0%', { accuracyLoss: -0.001 }, true],
    ['perplexity<1.03x', {}, false],
    ['perplexity<1.0322x', {}, false],
    ['perplexity<=1.0322x', {}, true],
    ['kl<0.05', {}, true],
    ['kl<=0', { kl: 0 }, true],
    ['agreement>90%', {}, false],
    ['agreement>=90%', {}, true],
    ['accuracy<3% and perplexity<1.03x', {}, false],
    ['accuracy<3% and perplexity<1.1x and kl<1 and agreement>50%', {}, true],
    ['accuracy<99%', { accuracyLoss: Number.NaN }, false],
    ['accuracy<99%', { accuracyLoss: Number.NEGATIVE_INFINITY }, false],
    ['perplexity<99x', { perplexityRatio: Number.POSITIVE_INFINITY }, false],
    ['agreement>0%', { agreement: Number.POSITIVE_INFINITY }, false],
  ];
  it.each(cases)('%s of %j: %s', (gate, changed, pass) => {
    expect(verdict(gate, changed).pass).toBe(pass);
  });

  it('tells every term with its value, limit and interval, and why', () => {
    expect(verdict('accuracy<3% and perplexity<1.03x and agreement>=90%')).toEqual({
      pass: false,
      reason: 'perplexity ratio 1.032x (65.30 to 67.40, 95 % interval 1.02x to 1.05x) is not below 1.03x',
      terms: [
        {
          metric: 'accuracy',
          relation: '<',
          limit: 0.03,
          value: 0.02,
          interval: [0.01, 0.031],
          pass: true,
          sentence: 'accuracy loss 2 % (25.00 % to 24.50 %, 95 % interval 1 % to 3.1 %) is below 3 %',
        },
        {
          metric: 'perplexity',
          relation: '<',
          limit: 1.03,
          value: 1.0322,
          interval: [1.02, 1.05],
          pass: false,
          sentence: 'perplexity ratio 1.032x (65.30 to 67.40, 95 % interval 1.02x to 1.05x) is not below 1.03x',
        },
        {
          metric: 'agreement',
          relation: '>=',
          limit: 0.9,
          value: 0.9,
          interval: [0.88, 0.92],
          pass: true,
          sentence: 'same-top-token rate 90 % (95 % interval 88 % to 92 %) is at least 90 %',
        },
      ],
    });
  });

  it('gives the reasons of all terms when all hold, and of those that failed otherwise', () => {
    expect(verdict('accuracy<3% and kl<0.05').reason).toBe(
      'accuracy loss 2 % (25.00 % to 24.50 %, 95 % interval 1 % to 3.1 %) is below 3 %; mean KL divergence 0.04 nats (95 % interval 0.03 nats to 0.05 nats) is below 0.05 nats',
    );
    expect(verdict('accuracy<3% and kl<0.01').reason).toMatch(
      /^mean KL divergence 0.04 nats .* is not below 0.01 nats$/,
    );
  });

  it('shows as many digits as it takes to tell a value from its limit', () => {
    expect(verdict('accuracy<=3%', { accuracyLoss: 0.030001 }).reason).toContain('accuracy loss 3.0001 %');
    expect(verdict('accuracy<=3%', { accuracyLoss: 0.03 }).reason).toContain('accuracy loss 3 %');
    expect(verdict('accuracy<=3%', { accuracyLoss: 0.0213579 }).reason).toContain('accuracy loss 2.14 %');
  });

  it('says that a figure is no number', () => {
    expect(verdict('perplexity<9x', { perplexityRatio: Number.NaN }).reason).toBe(
      'perplexity ratio is no number (NaN), which no gate passes',
    );
  });

  describe('when confidence is demanded', () => {
    it('holds the worse end of the interval against the limit', () => {
      expect(verdict('accuracy<3%', {}, true)).toMatchObject({
        pass: false,
        reason: /is below 3 %, but its interval reaches beyond$/,
      });
      expect(verdict('accuracy<3.2%', {}, true).pass).toBe(true);
      expect(verdict('accuracy<=3.1%', {}, true).pass).toBe(true);
      expect(verdict('accuracy<3.1%', {}, true).pass).toBe(false);
      expect(verdict('agreement>87%', {}, true).pass).toBe(true);
      expect(verdict('agreement>89%', {}, true).pass).toBe(false);
    });

    it('passes nothing without an interval', () => {
      expect(verdict('accuracy<3%', { intervals: {} }, true)).toMatchObject({
        pass: false,
        reason: /but it has no interval, and one is demanded$/,
      });
      expect(verdict('accuracy<3%', { intervals: {} }, false).pass).toBe(true);
    });
  });

  it('passes everything when the gate is off, and says so', () => {
    const hopeless = { ...comparison, accuracyLoss: 1, perplexityRatio: Number.NaN };
    expect(judge(defaultGate(1), { base, now, comparison: hopeless, confident: true })).toEqual({
      pass: true,
      reason: 'the gate is off',
      terms: [],
    });
  });

  it('cannot judge what was not measured', () => {
    const { kl: _, ...unmeasured } = comparison;
    expect(() => judge(parseGate('kl<1'), { base, now, comparison: unmeasured, confident: false })).toThrow(
      /not measured/,
    );
  });
});
