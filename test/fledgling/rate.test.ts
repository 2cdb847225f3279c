import { expect, it } from 'vitest';
import { rateAt, type TrainingOptions } from '../../scripts/fledgling/train.js';

it('rateAt rises in a line, falls in half a cosine', () => {
  const training = { steps: 110, warmUp: 10, rate: 1, finalRate: 0.2 } as TrainingOptions;
  expect(rateAt(1, training)).toBeCloseTo(0.1);
  expect(rateAt(10, training)).toBeCloseTo(1);
  expect(rateAt(60, training)).toBeCloseTo(0.6);
  expect(rateAt(110, training)).toBeCloseTo(0.2);
});
