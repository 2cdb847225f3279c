import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BirdboneError } from '../../src/errors.js';
import { defaultGate, isOff, parseGate } from '../../src/evaluation/index.js';

describe('parseGate', () => {
  const gates: [string, string, [metric: string, relation: string, limit: number][]][] = [
    ['accuracy<3%', 'accuracy<3%', [['accuracy', '<', 0.03]]],
    ['  Accuracy  <= 2.50 %  ', 'accuracy<=2.50%', [['accuracy', '<=', 0.025]]],
    ['perplexity < 1.1X', 'perplexity<1.1x', [['perplexity', '<', 1.1]]],
    ['kl<.05', 'kl<.05', [['kl', '<', 0.05]]],
    ['agreement>=100%', 'agreement>=100%', [['agreement', '>=', 1]]],
    ['accuracy<0%', 'accuracy<0%', [['accuracy', '<', 0]]],
    [
      'accuracy<3% and perplexity<1.1x AND\tkl<0.1',
      'accuracy<3% and perplexity<1.1x and kl<0.1',
      [
        ['accuracy', '<', 0.03],
        ['perplexity', '<', 1.1],
        ['kl', '<', 0.1],
      ],
    ],
  ];
  it.each(gates)('reads %j', (text, canonical, terms) => {
    const gate = parseGate(text);
    expect(gate.text).toBe(canonical);
    expect(gate.terms).toEqual(terms.map(([metric, relation, limit]) => ({ metric, relation, limit })));
    expect(parseGate(gate.text)).toEqual(gate);
    expect(isOff(gate)).toBe(false);
  });

  it('says whether the base model must run beside the candidate', () => {
    expect(parseGate('accuracy<3% and perplexity<1.1x').needsBaseLogits).toBe(false);
    expect(parseGate('accuracy<3% and kl<0.1').needsBaseLogits).toBe(true);
    expect(parseGate('agreement>90%').needsBaseLogits).toBe(true);
  });

  const faults: [string, string][] = [
    ['', 'at its end: here must be one of accuracy, perplexity, kl, agreement'],
    ['acuracy<3%', 'at character 1, "acuracy<3%": here must be one of accuracy, perplexity, kl, agreement'],
    ['constructor<3%', 'at character 1, "constructor<3%": here must be one of'],
    ['accuracy', 'at its end: accuracy is limited by < or <='],
    ['accuracy>3%', 'at character 9, ">3%": accuracy is limited by < or <='],
    ['agreement < 95%', 'at character 11, "< 95%": agreement is limited by > or >='],
    ['accuracy<', 'at its end: here must be a number, as in accuracy<3%'],
    ['accuracy<three', 'at character 10, "three": here must be a number'],
    ['accuracy<-3%', 'at character 10, "-3%": here must be a number'],
    ['accuracy<3', 'at its end: a limit of accuracy ends in %, as in accuracy<3%'],
    ['perplexity<1.1', 'at its end: a limit of perplexity ends in x'],
    ['perplexity<110%', 'at character 15, "%": a limit of perplexity ends in x'],
    ['kl<5%', 'at character 5, "%": a limit of kl ends in no unit, as in kl<0.05'],
    ['accuracy<3% or kl<1', 'at character 13, "or kl<1": here must be "and" or the end'],
    ['accuracy<3% andkl<1', 'at character 13, "andkl<1": here must be "and" or the end'],
    ['accuracy<3% and', 'at its end: here must be one of'],
    ['accuracy<3% accuracy<2%', 'at character 13, "accuracy<2%": here must be "and"'],
    ['agreement>100%', 'at character 1, "agreement>100%": no model can meet this term'],
    ['agreement>=100.1%', 'at character 1, "agreement>=100.1%": no model can meet this term'],
    ['kl<0', 'at character 1, "kl<0": no model can meet this term'],
    ['perplexity<0x', 'no model can meet this term'],
    [`kl<${'9'.repeat(400)}`, 'this number is too large'],
  ];
  it.each(faults)('points at what is wrong in %j', (text, message) => {
    const fault = faultOf(text);
    expect(fault.code).toBe('usage');
    expect(fault.message).toContain(message);
    expect(fault.suggestions).toEqual([
      'Join terms like these by "and": accuracy<3%, perplexity<1.1x, kl<0.05, agreement>95%',
    ]);
  });

  it('quotes control characters, which a terminal would obey', () => {
    expect(faultOf('\u001b[2Jaccuracy').message).not.toContain('\u001b');
  });

  it('reads back whatever it can write', () => {
    const number = fc.integer({ min: 1, max: 99_999 }).map((value) => String(value / 1000));
    const space = fc.constantFrom('', ' ', '\n  ');
    const term = fc.oneof(
      fc.tuple(fc.constant('accuracy'), fc.constantFrom('<', '<='), number, fc.constant('%')),
      fc.tuple(fc.constant('perplexity'), fc.constantFrom('<', '<='), number, fc.constant('x')),
      fc.tuple(fc.constant('kl'), fc.constantFrom('<', '<='), number, fc.constant('')),
      fc.tuple(fc.constant('agreement'), fc.constantFrom('>', '>='), number, fc.constant('%')),
    );
    fc.assert(
      fc.property(fc.array(term, { minLength: 1, maxLength: 5 }), space, (terms, gap) => {
        const gate = parseGate(terms.map((parts) => parts.join(gap)).join(`${gap} and ${gap}`));
        expect(gate.text).toBe(terms.map((parts) => parts.join('')).join(' and '));
        gate.terms.forEach(({ limit }, i) => {
          const [, , digits, unit] = terms[i]!;
          expect(limit).toBeCloseTo(Number(digits) / (unit === '%' ? 100 : 1), 12);
        });
      }),
    );
  });

  it('never fails otherwise than by saying what is wrong', () => {
    const part = fc.oneof(
      fc.constantFrom('accuracy', 'kl', '<', '<=', '>', '3', '%', 'x', ' and ', ' '),
      fc.string({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 9 }), (parts) => {
        try {
          parseGate(parts.join(''));
        } catch (error) {
          expect(error).toMatchObject({ name: 'BirdboneError', code: 'usage' });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('defaultGate', () => {
  it('lets a loss of the limit itself pass', () => {
    expect(defaultGate(0.03)).toEqual({
      text: 'accuracy<=3%',
      terms: [{ metric: 'accuracy', relation: '<=', limit: 0.03 }],
      needsBaseLogits: false,
    });
    expect(defaultGate(0.07).text).toBe('accuracy<=7%');
    expect(defaultGate(0).text).toBe('accuracy<=0%');
  });

  it('is off at 100 %', () => {
    expect(defaultGate(1)).toEqual({ text: 'off', terms: [], needsBaseLogits: false });
    expect(isOff(defaultGate(1))).toBe(true);
    expect(isOff(defaultGate(0.999))).toBe(false);
  });
});

function faultOf(text: string): BirdboneError {
  try {
    parseGate(text);
  } catch (error) {
    if (error instanceof BirdboneError) return error;
    throw error;
  }
  throw new Error(`${text} is a gate`);
}
