import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Checkpoint, openCheckpoint } from '../../src/checkpoint/index.js';
import { loadTokenizer, type Model, openModel, type Tokenizer } from '../../src/model/index.js';
import { availableDevices, type Device, openDevice } from '../../src/tensor/index.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';
import { argMaxOfRow, logitsOf, negativeLogLikelihood } from './logits.js';

interface Reference {
  readonly greedy: readonly { prompt: string; prompt_ids: number[]; generated_ids: number[]; text: string }[];
  readonly first_8_eval_documents?: readonly PassageFigures[];
  readonly first_20_eval_windows?: readonly PassageFigures[];
}
interface PassageFigures {
  readonly tokens: number;
  readonly mean_nll: number;
  readonly top1: number;
}

/** The last one is the first one's weights as pytorch_model.bin. */
const MODELS = ['tinystories-656k', 'stories260k', 'novels-5m', 'tinystories-656k-pt'];
const devices = await availableDevices();
/** A GPU imitated in software takes minutes for all the passages that a CPU scores in seconds. */
const SOFTWARE_PASSAGES = 2;

describe.each(['cpu', 'webgpu'] as const)('the real checkpoints on %s', (name) => {
  const found = devices.find((candidate) => candidate.name === name);
  const missing = sharedMissing ?? (found?.available ? undefined : `no ${name} here: ${found?.reason ?? 'not listed'}`);
  describe.skipIf(missing !== undefined)(missing ?? 'available', () => {
    let device: Device;
    beforeAll(async () => {
      device = await openDevice(name);
    });
    afterAll(() => device.close());

    describe.each(MODELS)('%s', (modelName) => {
      let model: Model;
      let tokenizer: Tokenizer;
      let reference: Reference;
      beforeAll(async () => {
        model = await openModel(sharedModel(modelName));
        tokenizer = await loadTokenizer(sharedModel(modelName));
        reference = JSON.parse(readFileSync(path.join(referenceFolder(modelName), 'reference.json'), 'utf8'));
      });
      afterAll(() => model.checkpoint.close());

      it('gives the reference logits within 1e-4, and leaves nothing on the device', async () => {
        const file = await openCheckpoint(path.join(referenceFolder(modelName), 'reference-logits.safetensors'));
        const expected = await numbers(file, 'logits', Float32Array);
        const before = device.memory();
        const [logits] = await logitsOf(model, [await numbers(file, 'input_ids', Int32Array)], device);
        expect(device.memory()).toEqual(before);
        expect(logits!.length).toBe(expected.length);
        expect(largestDifference(logits!, expected)).toBeLessThan(1e-4);
        await file.close();
      });

      it('continues the prompts token for token', async () => {
        for (const { prompt, prompt_ids, generated_ids } of reference.greedy) {
          expect([...startOf(tokenizer, modelName), ...tokenizer.encode(prompt)]).toEqual(prompt_ids);
          // Greedy decoding takes the arg-max after each prefix. Attention is causal, so one pass over prompt and
          // continuation holds every one of those arg-maxes.
          const ids = Int32Array.from([...prompt_ids, ...generated_ids]);
          const [logits] = await logitsOf(model, [ids], device);
          const chosen = generated_ids.map((_, i) =>
            argMaxOfRow(logits!, prompt_ids.length - 1 + i, model.decoder.vocabulary),
          );
          expect(chosen).toEqual(generated_ids);
        }
      });

      const scored = found?.software ? SOFTWARE_PASSAGES : Infinity;
      it(`scores ${found?.software ? `${scored} passages` : 'every passage'} of reference.json to 1e-3`, async () => {
        const { figures, passages } = evaluationPassages(modelName, tokenizer, reference);
        const logits = await logitsOf(model, passages.slice(0, scored), device, 2048);
        figures.slice(0, scored).forEach((figure, i) => {
          const now = scoreOf(passages[i]!, logits[i]!, model.decoder.vocabulary);
          expect(now.tokens).toBe(figure.tokens);
          expect(now.mean_nll / figure.mean_nll).toBeCloseTo(1, 3);
          expect(now.top1).toBeCloseTo(figure.top1, 6);
        });
      });
    });
  });
});

function referenceFolder(modelName: string): string {
  return sharedModel(modelName.replace(/-pt$/, ''));
}

/** novels-5m's reference uses no BOS, the story models' does (their READMEs). */
function startOf(tokenizer: Tokenizer, modelName: string): number[] {
  return modelName === 'novels-5m' ? [] : [tokenizer.bosTokenId!];
}

function evaluationPassages(modelName: string, tokenizer: Tokenizer, reference: Reference) {
  const windows = reference.first_20_eval_windows;
  if (windows !== undefined) {
    const ids = tokenizer.encode(readFileSync(sharedData('novels', 'eval.txt'), 'utf8').slice(0, 60_000));
    return { figures: windows, passages: windows.map((_, i) => ids.slice(256 * i, 256 * (i + 1))) };
  }
  const figures = reference.first_8_eval_documents!;
  const lines = readFileSync(sharedData('tinystories-1000', 'eval.jsonl'), 'utf8').split('\n', figures.length);
  const passages = lines.map((line) => {
    const ids = [...startOf(tokenizer, modelName), ...tokenizer.encode(JSON.parse(line).text)];
    return Int32Array.from(ids.slice(0, 512));
  });
  return { figures, passages };
}

function scoreOf(ids: Int32Array, logits: Float32Array, vocabulary: number): PassageFigures {
  let nll = 0;
  let correct = 0;
  const tokens = ids.length - 1;
  for (let t = 0; t < tokens; t++) {
    nll += negativeLogLikelihood(logits, t, vocabulary, ids[t + 1]!);
    if (argMaxOfRow(logits, t, vocabulary) === ids[t + 1]) correct++;
  }
  return { tokens, mean_nll: nll / tokens, top1: correct / tokens };
}

async function numbers<T>(file: Checkpoint, name: string, Values: new (buffer: ArrayBuffer) => T): Promise<T> {
  return new Values(Uint8Array.from(await file.read(name)).buffer);
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0);
}
