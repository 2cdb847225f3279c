import { mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { convert } from '../../src/conversion/index.js';
import { evaluateModel } from '../../src/evaluation/index.js';
import { verifyFolder } from '../../src/manifest/index.js';
import { loadTokenizer, openModel } from '../../src/model/index.js';
import { parseRecipe } from '../../src/recipe.js';
import { openDevice } from '../../src/tensor/index.js';
import { exportState, openState, type RunResult, run } from '../../src/waves/index.js';
import { llamaMissing, withLlama } from '../llama/llama.js';
import { logitsOf, negativeLogLikelihood } from '../model/logits.js';
import { logitsOf as referenceLogits } from '../reference/forward.js';
import { loadReferenceModel } from '../reference/load.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';
import { furthest } from './shed-states.js';

const MODEL = sharedModel('tinystories-656k');
const EVALUATION = sharedData('tinystories-1000', 'eval.txt');

/** A quarter of the channels and one KV group of each block of tinystories-656k, as `prune --plates auto` publishes it. */
describe.skipIf(sharedMissing !== undefined)(sharedMissing ?? 'what shedding publishes', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-published-'));
  const out = path.join(folder, 'small');
  let result: RunResult;
  beforeAll(async () => {
    const recipe = parseRecipe(
      {
        recipe: 1,
        model: MODEL,
        out,
        calibration: { file: sharedData('tinystories-1000', 'calibration.txt'), windows: 12, context: 128 },
        evaluation: { file: EVALUATION, context: 128, limit: 6 },
        maxDrop: 1,
        monitor: 'basic',
        steps: [{ do: 'prune', plates: 'auto', sparsity: 0.25, waves: 2, schedule: 'linear' }],
      },
      'the test',
    );
    result = await run({ recipe, device: 'cpu', diffs: path.join(folder, 'diffs') });
  });

  it('is as small as promised', async () => {
    const model = await openModel(out);
    expect(model.decoder).toMatchObject({ architecture: 'llama', ffn: 288, heads: 6, kvHeads: 3, headDim: 16 });
    await model.checkpoint.close();
    // Of each block 96 channels of 3 × 128, and a group: 2 × 16 rows of q and of o, 16 of k and of v, of 128.
    const removed = 2 * (96 * 3 * 128 + (2 * 32 + 2 * 16) * 128);
    expect(await parametersOf(out)).toBe((await parametersOf(MODEL)) - removed);
    const bytes = (name: string) => statSync(path.join(name, 'model.safetensors')).size;
    expect(bytes(MODEL) - bytes(out)).toBeGreaterThan(4 * removed - 1024);
    expect(bytes(MODEL) - bytes(out)).toBeLessThan(4 * removed + 1024);
    expect(result.sparsity).toBeCloseTo(0.25, 2);
  });

  it('has a manifest of what is in it, and measures as the gate did', async () => {
    expect((await verifyFolder(out)).matches).toBe(true);
    const measured = await evaluateModel({
      model: out,
      data: EVALUATION,
      protocol: 'windows',
      context: 128,
      limit: 6,
      seed: 0,
      device: 'cpu',
    });
    expect(measured.perplexity / result.result['perplexity']!).toBeCloseTo(1, 4);
  });

  it('is a plain Llama by its definition', async () => {
    const ids = Int32Array.from({ length: 40 }, (_, i) => (i * 37 + 11) % 2048);
    const device = await openDevice('cpu');
    const model = await openModel(out);
    const ours = await logitsOf(model, [ids], device);
    const theirs = Float32Array.from(referenceLogits(loadReferenceModel(out), ids));
    expect(furthest(ours, [theirs])).toBeLessThan(1e-4);
    await model.checkpoint.close();
    await device.close();
  });

  it.skipIf(llamaMissing !== undefined)('has its perplexity in llama.cpp, to 0.5 %', async () => {
    const file = path.join(folder, 'small.gguf');
    await convert({ model: out, out: file });
    const tokenizer = await loadTokenizer(out);
    const text = readFileSync(EVALUATION, 'utf8').slice(0, 4000);
    const ids = Int32Array.from([tokenizer.bosTokenId!, ...tokenizer.encode(text).subarray(0, 255)]);
    const device = await openDevice('cpu');
    const model = await openModel(out);
    const [logits] = await logitsOf(model, [ids], device);
    await model.checkpoint.close();
    await device.close();
    const ours = Array.from(ids.subarray(1), (id, t) => negativeLogLikelihood(logits!, t, 2048, id));
    await withLlama(file, async (llama) => {
      const theirs = await llama.negativeLogLikelihoods([...ids]);
      const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
      expect(Math.abs(Math.exp(mean(theirs) - mean(ours)) - 1)).toBeLessThan(0.005);
    });
  });

  it('can be exported wave by wave, each in its own size', async () => {
    const first = path.join(folder, 'first');
    await exportState({ reference: `${out}@1`, out: first });
    expect((await verifyFolder(first)).matches).toBe(true);
    const model = await openModel(first);
    const { ffn, kvHeads } = model.decoder;
    await model.checkpoint.close();
    expect(ffn).toBeGreaterThan(288);
    expect(kvHeads).toBeGreaterThanOrEqual(3);
    const dense = await openState(`${out}@dense`);
    expect(dense.checkpoint.tensors.get('model.layers.0.mlp.up_proj.weight')!.shape).toEqual([384, 128]);
    await dense.checkpoint.close();
  });
});

async function parametersOf(folder: string): Promise<number> {
  const { checkpoint } = await openModel(folder);
  await checkpoint.close();
  return [...checkpoint.tensors.values()].reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
}
