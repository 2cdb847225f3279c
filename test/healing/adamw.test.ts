import { describe, expect, it } from 'vitest';
import { adamWStep, createMoments, gradientNorm } from '../../src/healing/index.js';

const options = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.5 };

describe('adamWStep', () => {
  it('moves by the rate against the sign of the first gradient, and decays apart from it', () => {
    const values = Float32Array.of(1, 1);
    adamWStep(values, Float32Array.of(4, -4), createMoments(2), {
      step: 1,
      rate: 0.1,
      scale: 1,
      decayed: true,
      options,
    });
    // Bias correction makes the first direction g / |g|: 1 · (1 − 0.1 · 0.5) ∓ 0.1.
    expect(values[0]).toBeCloseTo(0.85, 6);
    expect(values[1]).toBeCloseTo(1.05, 6);
  });

  it('takes the second step from both moments', () => {
    const values = Float32Array.of(0);
    const moments = createMoments(1);
    const at = { rate: 1, scale: 1, decayed: false, options };
    adamWStep(values, Float32Array.of(1), moments, { ...at, step: 1 });
    adamWStep(values, Float32Array.of(3), moments, { ...at, step: 2 });
    // m = 0.9·0.1 + 0.1·3 = 0.39, over 1 − 0.81; v = 0.99·0.01 + 0.01·9 = 0.0999, over 1 − 0.9801.
    expect(values[0]).toBeCloseTo(-1 - 0.39 / 0.19 / Math.sqrt(0.0999 / 0.0199), 5);
  });

  it('scales the gradient before the moments see it', () => {
    const moments = createMoments(1);
    adamWStep(Float32Array.of(0), Float32Array.of(8), moments, {
      step: 1,
      rate: 1,
      scale: 0.25,
      decayed: false,
      options,
    });
    expect(moments.first[0]).toBeCloseTo(0.2, 6);
    expect(moments.second[0]).toBeCloseTo(0.04, 6);
  });
});

it('gradientNorm is over all gradients together', () => {
  expect(gradientNorm([Float32Array.of(1, 2), Float32Array.of(2, 4)])).toBe(5);
});
