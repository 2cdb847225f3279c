import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FLEDGLING, parametersOf } from '../../scripts/fledgling/architecture.js';
import { heldOutDocuments, tokenizerOf, trainingDocuments, trainingIds } from '../../scripts/fledgling/corpus.js';
import { logitsOf, lossOf, positionsOf } from '../../scripts/fledgling/forward.js';
import { END_OF_TEXT, joinDocuments, take } from '../../scripts/fledgling/generate-text.js';
import { TRAINING } from '../../scripts/fledgling/settings.js';
import { tokenizerJson } from '../../scripts/fledgling/tokenizer-files.js';
import { tokensNeeded } from '../../scripts/fledgling/train.js';
import { modelConfig } from '../../scripts/fledgling/write-model.js';
import { readFloats } from '../../src/checkpoint/index.js';
import { readPassages } from '../../src/corpus/index.js';
import { scorePassages, summarize } from '../../src/evaluation/index.js';
import { loadTokenizer, type Model, openModel } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';

const folder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../models/fledgling');
const file = (name: string) => path.join(folder, name);
const json = (name: string) => JSON.parse(readFileSync(file(name), 'utf8')) as Record<string, unknown>;

let device: Device;
let model: Model;
beforeAll(async () => {
  device = await openDevice('cpu');
  model = await openModel(folder);
});
afterAll(async () => {
  await model.checkpoint.close();
  await device.close();
});

describe('models/fledgling', () => {
  it('is small enough for git: 3 MB for the whole folder', () => {
    const bytes = readdirSync(folder).reduce((total, name) => total + statSync(file(name)).size, 0);
    expect(bytes).toBeLessThanOrEqual(3_000_000);
    expect(statSync(file('calibration.txt')).size).toBeLessThanOrEqual(200_000);
    expect(statSync(file('evaluation.txt')).size).toBeLessThanOrEqual(120_000);
  });

  it('stores what its config.json says, in bf16, with a head of its own', () => {
    expect(json('config.json')).toEqual(modelConfig(FLEDGLING));
    expect(json('config.json')).toMatchObject({ tie_word_embeddings: false, torch_dtype: 'bfloat16' });
    const stored = [...model.checkpoint.tensors.values()];
    expect(new Set(stored.map(({ dtype }) => dtype))).toEqual(new Set(['BF16']));
    const shapes = Object.fromEntries(stored.map(({ name, shape }) => [name, shape]));
    expect(shapes).toEqual(Object.fromEntries(parametersOf(FLEDGLING).map(({ name, shape }) => [name, shape])));
    expect(model.decoder.tied).toBe(false);
  });

  it('has rows in multiples of 256 in every matrix', () => {
    for (const { name, shape } of model.checkpoint.tensors.values()) expect(shape.at(-1)! % 256, name).toBe(0);
  });

  it('has a tokenizer for exactly its vocabulary', async () => {
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer.vocabularySize).toBe(FLEDGLING.vocabulary);
    expect(tokenizer.bosTokenId).toBe(0);
    const ids = tokenizer.encode(readFileSync(file('evaluation.txt'), 'utf8'));
    expect(Math.max(...ids)).toBeLessThan(FLEDGLING.vocabulary);
  });

  it('has the texts and the tokenizer that the script writes', () => {
    const heldOut = heldOutDocuments();
    expect(readFileSync(file('calibration.txt'), 'utf8')).toBe(joinDocuments(heldOut.calibration));
    expect(readFileSync(file('evaluation.txt'), 'utf8')).toBe(joinDocuments(heldOut.evaluation));
    expect(json('tokenizer.json')).toEqual(
      JSON.parse(JSON.stringify(tokenizerJson(tokenizerOf(heldOut, FLEDGLING.vocabulary)))),
    );
  });

  it('shares no document between calibration, evaluation and training', () => {
    const split = (name: string) => readFileSync(file(name), 'utf8').split(END_OF_TEXT);
    const calibration = new Set(split('calibration.txt'));
    const evaluation = new Set(split('evaluation.txt'));
    expect([...calibration].filter((document) => evaluation.has(document))).toEqual([]);
    // A token is 2.1 characters in the mean, so that this is more text than training read.
    const characters = tokensNeeded(TRAINING) * 3;
    const trained = take(trainingDocuments(heldOutDocuments()), characters);
    expect(trained.filter((document) => calibration.has(document) || evaluation.has(document))).toEqual([]);
  });

  it('scores the same in the forward pass that trained it as in the library', async () => {
    const tokenizer = await loadTokenizer(folder);
    const { context } = FLEDGLING;
    const { passages } = await readPassages(file('evaluation.txt'), tokenizer, {
      protocol: 'windows',
      context,
      maxContext: context,
      limit: 8,
    });
    const { scores } = await scorePassages(model, passages, { device, memoryBytes: 2 ** 26, spillFolder: folder });
    const library = Math.log(summarize(scores, { seed: 0 }).perplexity);

    const weights = new Map<string, tf.Tensor>();
    for (const { name, shape } of model.checkpoint.tensors.values()) {
      weights.set(name, device.upload(await readFloats(model.checkpoint, name), shape));
    }
    const positions = positionsOf(FLEDGLING, context - 1);
    const ids = (from: number) =>
      tf.tensor1d(
        passages.flatMap((passage) => [...passage.ids.slice(from, from + context - 1)]),
        'int32',
      );
    const loss = tf.tidy(() => lossOf(logitsOf(weights, ids(0), positions, FLEDGLING), ids(1)));
    expect(Math.abs((await device.read(loss))[0]! - library)).toBeLessThan(1e-4);
    tf.dispose([loss, positions.cos, positions.sin, positions.mask, ...weights.values()]);
  });
});

it('trainingIds are the beginning of the training text, whatever their number', () => {
  const heldOut = heldOutDocuments();
  const vocabulary = tokenizerOf(heldOut, FLEDGLING.vocabulary);
  const many = trainingIds(heldOut, vocabulary, 3000);
  expect(trainingIds(heldOut, vocabulary, 1000)).toEqual(many.slice(0, 1000));
});
