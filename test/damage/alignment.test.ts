import { describe, expect, it } from 'vitest';
import { alignment, type SampleGram } from '../../src/damage/alignment.js';
import { uniform } from '../reference/tiny-model.js';

const random = uniform(3);
const samples = (count: number, width: number) =>
  Array.from({ length: count }, () => Array.from({ length: width }, () => random() - 0.5));

function gram(rows: readonly (readonly number[])[]): SampleGram {
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  return { values: Float32Array.from(rows.flatMap((a) => rows.map((b) => dot(a, b)))), count: rows.length };
}

/** The estimator by its definition: the mean over all different i, j, q, r of K_ij (L_ij + L_qr − 2 L_iq). */
function byDefinition({ values: k, count: n }: SampleGram, { values: l }: SampleGram): number {
  let [sum, terms] = [0, 0];
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) {
      for (let q = 0; q < n; q += 1) {
        for (let r = 0; r < n; r += 1) {
          if (new Set([i, j, q, r]).size < 4) continue;
          terms += 1;
          sum += k[i * n + j]! * (l[i * n + j]! + l[q * n + r]! - 2 * l[i * n + q]!);
        }
      }
    }
  }
  return sum / terms;
}

describe('alignment', () => {
  it('is what its definition says', () => {
    const [left, right] = [gram(samples(7, 3)), gram(samples(7, 5))];
    const expected = byDefinition(left, right) / Math.sqrt(byDefinition(left, left) * byDefinition(right, right));
    expect(alignment(left, right)).toBeCloseTo(expected, 10);
  });

  it('is 1 for what is only turned, scaled and moved', () => {
    const rows = samples(20, 2);
    const [cosine, sine] = [Math.cos(1), Math.sin(1)];
    const turned = rows.map(([x, y]) => [7 + 3 * (cosine * x! - sine * y!), -2 + 3 * (sine * x! + cosine * y!)]);
    expect(alignment(gram(rows), gram(turned))).toBeCloseTo(1, 4);
  });

  it('is about 0 for what has nothing to do with each other, though dimensions are many', () => {
    const found = Array.from({ length: 20 }, () => alignment(gram(samples(24, 200)), gram(samples(24, 200)))!);
    expect(Math.abs(found.reduce((sum, value) => sum + value, 0) / found.length)).toBeLessThan(0.1);
  });

  it('is nothing where it is not defined', () => {
    const three = gram(samples(3, 4));
    expect(alignment(three, three)).toBeNull();
    const constant = gram(Array.from({ length: 8 }, () => [0, 0]));
    expect(alignment(constant, gram(samples(8, 2)))).toBeNull();
  });
});
