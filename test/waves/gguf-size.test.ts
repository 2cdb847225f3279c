import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { at, go, inWorkplaces } from '../fixtures/runs.js';

inWorkplaces();

/** The model of the repository: beside 2.7 MB of weights, what a manifest's figures vary by is little. */
const model = fileURLToPath(new URL('../../models/fledgling', import.meta.url));

it('meets a size by the whole file, with tokenizer, metadata and manifest, and never above it', async () => {
  const sizeBytes = 1_000_000;
  const { quality } = await go({
    model,
    out: at('out/sized.gguf'),
    evaluation: { file: at('models/fledgling/evaluation.txt'), limit: 2, context: 32 },
    steps: [{ do: 'quantize', sizeBytes }],
  });
  const { size } = await stat(at('out/sized.gguf'));
  expect(size).toBeLessThanOrEqual(sizeBytes);
  expect(size).toBeGreaterThan(0.99 * sizeBytes);
  const { bytes, budgetBytes } = quality!.report.budget!.published!;
  expect(budgetBytes).toBe(sizeBytes);
  // What is foreseen has room for the longest manifest, and is above what was written, but not by much.
  expect(bytes).toBeGreaterThanOrEqual(size);
  expect(bytes - size).toBeLessThan(0.005 * sizeBytes);
});
