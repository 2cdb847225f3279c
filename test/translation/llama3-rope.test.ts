import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recoverScaling, ropeFactors } from '../../src/translation/llama3-rope.js';

const LLAMA_3_1 = { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192 };
const BASE = { theta: 500_000, headDim: 128 };

describe('ropeFactors', () => {
  it('are those of Llama 3.1, computed with numpy in float64', () => {
    const factors = ropeFactors(LLAMA_3_1, BASE);
    expect(factors.length).toBe(64);
    expect([...factors.slice(0, 29)]).toEqual(Array(29).fill(1));
    expect([...factors.slice(35)]).toEqual(Array(29).fill(8));
    expect([...factors.slice(29, 35)]).toEqual(EXPECTED_BETWEEN.map(Math.fround));
  });
});

// The loop of convert_hf_to_gguf.py for pairs 29 to 34, in Python's float64.
const EXPECTED_BETWEEN = [
  1.207483871283662, 1.5534146285049255, 2.0263132059050557, 2.6945296878947333, 3.684252527745718, 5.257326588708467,
];

describe('recoverScaling', () => {
  it('gives back the numbers of Llama 3.1 and 3.2', () => {
    expect(recoverScaling(ropeFactors(LLAMA_3_1, BASE), BASE)).toEqual(LLAMA_3_1);
    const small = { ...LLAMA_3_1, factor: 32 };
    const base = { theta: 500_000, headDim: 64 };
    expect(recoverScaling(ropeFactors(small, base), base)).toEqual(small);
  });

  it('gives back factors that are the same, whatever the numbers were, where two lie between the ends', () => {
    const scaling = fc.record({
      factor: fc.double({ min: 1.5, max: 64, noNaN: true }),
      lowFrequencyFactor: fc.double({ min: 0.5, max: 2, noNaN: true }),
      highFrequencyFactor: fc.double({ min: 3, max: 16, noNaN: true }),
      originalContext: fc.integer({ min: 512, max: 65_536 }),
    });
    fc.assert(
      fc.property(scaling, (numbers) => {
        const factors = ropeFactors(numbers, BASE);
        const [all, none] = [1 / numbers.factor, 1];
        const shares = [...factors].map((value) => (1 / value - all) / (none - all));
        fc.pre(shares.filter((share) => share > 1e-3 && share < 1 - 1e-3).length >= 2);
        const recovered = recoverScaling(factors, BASE)!;
        ropeFactors(recovered, BASE).forEach((value, i) => {
          expect(value / factors[i]!).toBeCloseTo(1, 4);
        });
      }),
    );
  });

  it('does not guess where one lies between the ends, which many scalings give', () => {
    const narrow = {
      factor: 1.5,
      lowFrequencyFactor: 1.990645049528383,
      highFrequencyFactor: 3,
      originalContext: 37_154,
    };
    expect(recoverScaling(ropeFactors(narrow, BASE), BASE)).toBeUndefined();
  });

  it('takes no factors that no such scaling gives', () => {
    const factors = ropeFactors(LLAMA_3_1, BASE);
    factors[30]! *= 1.01;
    expect(recoverScaling(factors, BASE)).toBeUndefined();
    expect(recoverScaling(new Float32Array(64).fill(1), BASE)).toBeUndefined();
    expect(recoverScaling(new Float32Array(64).fill(Number.NaN), BASE)).toBeUndefined();
    expect(recoverScaling(ropeFactors(LLAMA_3_1, BASE), { ...BASE, headDim: 64 })).toBeUndefined();
  });
});
