import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateModel } from '../../src/evaluation/index.js';
import { makeWorkplace } from '../fixtures/workplace.js';

let folder: string;
let model: string;
let other: string;
beforeAll(() => {
  folder = makeWorkplace();
  model = path.join(folder, 'models', 'fledgling');
  other = path.join(folder, 'models', 'other');
  cpSync(model, other, { recursive: true });
  const file = path.join(other, 'tokenizer.json');
  const tokenizer = JSON.parse(readFileSync(file, 'utf8'));
  const { a, b, ...rest } = tokenizer.model.vocab;
  tokenizer.model.vocab = { ...rest, a: b, b: a };
  writeFileSync(file, JSON.stringify(tokenizer));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const options = () => ({
  model,
  data: path.join(model, 'evaluation.txt'),
  protocol: 'windows' as const,
  context: 32,
  limit: 5,
  seed: 3,
  device: 'cpu' as const,
});

describe('evaluateModel', () => {
  it('says what it measured, and how', async () => {
    const evaluation = await evaluateModel(options());
    expect(evaluation).toMatchObject({ tokens: 5 * 31, passages: 5, protocol: 'windows', context: 32, seed: 3 });
    expect(evaluation.data.name).toContain('evaluation.txt');
    expect(evaluation.device).not.toBe('');
    const [low, high] = evaluation.intervals['perplexity']!;
    expect(low).toBeLessThanOrEqual(evaluation.perplexity);
    expect(high).toBeGreaterThanOrEqual(evaluation.perplexity);
    expect(evaluation).not.toHaveProperty('base');
  });

  it('finds that a model is itself', async () => {
    const evaluation = await evaluateModel({ ...options(), base: model });
    expect(evaluation).toMatchObject({ accuracyLoss: 0, perplexityRatio: 1, agreement: 1, flips: 0 });
    expect(evaluation.kl).toBeCloseTo(0, 12);
    expect(evaluation.base).toMatchObject({ perplexity: evaluation.perplexity, accuracy: evaluation.accuracy });
  });

  it('refuses to compare models that read the text as other tokens', async () => {
    await expect(evaluateModel({ ...options(), base: other })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('different tokens'),
    });
  });
});
