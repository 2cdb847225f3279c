import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryLayer, overlay } from '../../src/checkpoint/index.js';
import { assessDamage, type Damage, healingQueue, severityOf } from '../../src/damage/index.js';
import { blockErrors } from '../../src/evaluation/index.js';
import { type Model, openModel, withCheckpoint } from '../../src/model/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, withTensors, writeFixture } from '../fixtures/architectures/index.js';
import { randomWindows } from '../pruning/shed-once.js';
import { referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, tinyModel, uniform, writeTinyModel } from '../reference/tiny-model.js';

const BLOCKS = 4;
const config = { ...TINY_LLAMA, num_hidden_layers: BLOCKS };
const reference = tinyModel(config);
const folder = writeTinyModel(reference);
const random = uniform(5);
/** Of different lengths, so that padding has to be left out. */
const passages = [9, 3, 14].map((length) => ({ ids: Int32Array.from({ length }, () => Math.floor(61 * random())) }));
const DOWN = 'model.layers.1.mlp.down_proj.weight';
const everyThird = (elements: number) => Array.from({ length: Math.floor(elements / 3) }, (_, index) => 3 * index);

let device: Device;
let model: Model;

beforeAll(async () => {
  device = await openDevice('cpu');
  model = await openModel(folder);
});
afterAll(async () => {
  await model.checkpoint.close();
  await device.close();
  rmSync(folder, { recursive: true });
});

/** The model without a third of the elements of these tensors, or those that are named. */
function without(names: readonly string[], removed?: readonly number[]): Model {
  const layers = names.map((name) => {
    const elements = model.checkpoint.tensors.get(name)!.shape.reduce((product, size) => product * size, 1);
    const bits = new Uint8Array(Math.ceil(elements / 8)).fill(0xff);
    for (const element of removed ?? everyThird(elements)) bits[Math.floor(element / 8)]! &= ~(1 << (element % 8));
    return [name, bits] as const;
  });
  return withCheckpoint(model, overlay(model.checkpoint, [memoryLayer(new Map(layers))]));
}

const assess = (now: Model, clusters?: ReadonlyMap<string, Int32Array>) =>
  assessDamage(model, now, passages, { device, ...(clusters && { clusters }) });
const matrix = ({ matrices }: Damage, name: string) => matrices.find(({ weight }) => weight === name)!;

describe('damage planted in one matrix', () => {
  let damage: Damage;
  let errors: readonly number[];

  beforeAll(async () => {
    const memory = device.memory();
    damage = await assess(without([DOWN]));
    expect(device.memory()).toEqual(memory);
    errors = await blockErrors(model, without([DOWN]), passages, { device });
  });

  it('is found in its block, and nowhere else', () => {
    expect(damage).toMatchObject({ passages: 3, tokens: 26 });
    for (const { block, total, own } of damage.blocks) {
      expect(total.relativeError).toBeCloseTo(errors[block]!, 6);
      expect(own.relativeError).toBeCloseTo(block === 1 ? errors[1]! : 0, 6);
    }
    const [before, here, ...behind] = damage.blocks;
    expect(before).toMatchObject({
      total: { relativeError: 0, cosine: 1, cka: 1 },
      inherited: 0,
      transmission: null,
      atOutput: 0,
      severity: 'none',
    });
    expect(here).toMatchObject({ inherited: 0, transmission: null });
    expect(here!.ownShare).toBeCloseTo(1, 12);
    for (const block of behind) {
      expect(block.own).toEqual({ relativeError: 0, cosine: 1, cka: 1 });
      expect(block).toMatchObject({ ownShare: 0, atOutput: 0, severity: 'none' });
      expect(block.inherited).toBeCloseTo(block.total.relativeError, 6);
    }
  });

  it('reaches the output as large as it is there', () => {
    // What the blocks behind transmit is all there is: the product telescopes.
    expect(damage.blocks[1]!.atOutput).toBeCloseTo(errors[BLOCKS - 1]!, 6);
    expect(damage.blocks[1]!.severity).toBe(severityOf(errors[BLOCKS - 1]!));
    const [, here, behind] = damage.blocks;
    expect(here!.total.relativeError).toBeGreaterThan(0.05);
    expect(behind!.transmission).toBeGreaterThan(0.5);
  });

  it('is that matrix, by all of its block', () => {
    for (const found of damage.matrices) {
      const isIt = found.weight === DOWN;
      expect(found.effect).toBeCloseTo(isIt ? damage.blocks[1]!.own.relativeError : 0, 6);
      if (!isIt) expect(found).toMatchObject({ own: { relativeError: 0 }, atOutput: 0 });
      if (found.block < 2 && !isIt) expect(found.total!.relativeError).toBe(0);
      if (found.block > 1) expect(found.total!.relativeError).toBeGreaterThan(0.01);
    }
    expect(healingQueue(damage)).toMatchObject([
      { rank: 1, weight: DOWN, block: 1, role: 'down', share: 1, cumulativeShare: 1 },
    ]);
    expect(damage.matrices).toHaveLength(7 * BLOCKS);
  });

  it('has the error and the cosine that float64 says', () => {
    const { values } = reference.tensor(DOWN)!;
    const pruned = Float32Array.from(values);
    for (const element of everyThird(values.length)) pruned[element] = 0;
    const sums = { difference: 0, before: 0, after: 0, product: 0 };
    for (const { ids } of passages) {
      referenceLogits(reference, ids, (layer, input, vectors) => {
        if (layer !== 1 || input !== 'down') return;
        for (const vector of vectors) {
          for (let row = 0; row < 32; row += 1) {
            let [y, z] = [0, 0];
            for (const [column, x] of vector.entries()) {
              y += values[row * 44 + column]! * x;
              z += pruned[row * 44 + column]! * x;
            }
            sums.difference += (z - y) ** 2;
            sums.before += y * y;
            sums.after += z * z;
            sums.product += y * z;
          }
        }
      });
    }
    const { own } = matrix(damage, DOWN);
    expect(own!.relativeError).toBeCloseTo(Math.sqrt(sums.difference / sums.before), 5);
    expect(own!.cosine).toBeCloseTo(sums.product / Math.sqrt(sums.before * sums.after), 5);
    expect(own!.cka).toBeGreaterThan(0.5);
    expect(own!.cka).toBeLessThan(1);
  });
});

describe('damage in several blocks', () => {
  const names = ['model.layers.0.self_attn.v_proj.weight', DOWN, 'model.layers.2.mlp.up_proj.weight'];

  it('is its own and inherited damage together', async () => {
    const damage = await assess(without(names));
    const [first, second, third, last] = damage.blocks;
    expect(first!.ownShare).toBeCloseTo(1, 12);
    expect(last!.ownShare).toBe(0);
    for (const block of [second!, third!]) {
      expect(block.ownShare).toBeGreaterThan(0);
      expect(block.ownShare).toBeLessThan(1);
      // Two sides of a triangle and the third.
      const { relativeError } = block.total;
      expect(relativeError).toBeLessThanOrEqual(block.own.relativeError + block.inherited + 1e-9);
      expect(relativeError).toBeGreaterThanOrEqual(Math.abs(block.own.relativeError - block.inherited) - 1e-9);
    }
    // Each by itself, really carried to the output through dense blocks, against the estimate.
    for (const [block, name] of names.entries()) {
      const alone = (await blockErrors(model, without([name]), passages, { device })).at(-1)!;
      expect(damage.blocks[block]!.atOutput / alone).toBeGreaterThan(0.5);
      expect(damage.blocks[block]!.atOutput / alone).toBeLessThan(2);
    }
  });

  it('in the embeddings is inherited by all', async () => {
    const damage = await assess(without(['model.embed_tokens.weight']));
    for (const block of damage.blocks) {
      expect(block).toMatchObject({ own: { relativeError: 0 }, ownShare: 0 });
      expect(block.transmission).toBeGreaterThan(0);
      expect(block.total.relativeError).toBeGreaterThan(0.01);
    }
    expect(healingQueue(damage)).toEqual([]);
  });
});

describe('clusters of rows', () => {
  it('have the damage that is in their rows', async () => {
    // Rows 0 to 9 lose everything; the clusters divide the 32 rows into 0–4, 5–9, 10–19 and none.
    const removed = Array.from({ length: 10 * 44 }, (_, index) => index);
    const assignments = Int32Array.from({ length: 32 }, (_, row) => (row < 5 ? 0 : row < 10 ? 1 : row < 20 ? 2 : -1));
    const { clusters = [] } = await assess(without([DOWN], removed), new Map([[DOWN, assignments]]));
    expect(clusters.map(({ cluster, rows }) => [cluster, rows])).toEqual([
      [-1, 12],
      [0, 5],
      [1, 5],
      [2, 10],
    ]);
    const of = (cluster: number) => clusters.find((found) => found.cluster === cluster)!;
    for (const gone of [0, 1]) {
      expect(of(gone)).toMatchObject({ block: 1, weight: DOWN, own: { cosine: null, cka: null } });
      expect(of(gone).own.relativeError).toBeCloseTo(1, 6);
    }
    for (const whole of [-1, 2]) expect(of(whole)).toMatchObject({ share: 0, own: { relativeError: 0, cka: 1 } });
    expect(of(0).share + of(1).share).toBeCloseTo(1, 6);
  });
});

it('gives the same when hidden states go to files', async () => {
  const now = without([DOWN]);
  const spilled = await assessDamage(model, now, passages, { device, memoryBytes: 0 });
  expect(spilled).toEqual(await assess(now));
});

it('knows what a block is worth whose matrices have other shapes', async () => {
  const other = writeTinyModel(tinyModel({ ...config, intermediate_size: 40 }, 2));
  const cut = await openModel(other);
  try {
    const damage = await assess(cut);
    for (const { role, own, total, effect, atOutput, rows, columns, block } of damage.matrices) {
      if (!['gate', 'up', 'down'].includes(role)) {
        expect(effect).toBeGreaterThan(0);
        continue;
      }
      expect([own, total, effect]).toEqual([null, null, null]);
      // By its size: 7 matrices of 7296 weights together.
      const part = Math.sqrt((rows * columns) / 7296);
      expect(atOutput / (part * damage.blocks[block]!.atOutput)).toBeCloseTo(1, 9);
    }
    expect(healingQueue(damage)).toHaveLength(7 * BLOCKS);
  } finally {
    await cut.checkpoint.close();
    rmSync(other, { recursive: true });
  }
});

it('tells an expert that was hurt from those that were not', async () => {
  const dense = fixtureModel(architectureFixtures['mixtral']!);
  const hurt = [...dense.tensors.keys()].find((name) => name.includes('layers.0') && /experts\.1\.w2/.test(name))!;
  const { values } = dense.tensors.get(hurt)!;
  const pruned = withTensors(dense, new Map([[hurt, values.map((value, i) => (i % 2 === 0 ? 0 : value))]]));
  const folders = [dense, pruned].map((of) => writeFixture(of));
  const [before, after] = await Promise.all(folders.map((of) => openModel(of)));
  try {
    const windows = randomWindows(3, 4, 12, before!.decoder.vocabulary);
    const damage = await assessDamage(before!, after!, windows, { device });
    const hit = damage.matrices.filter(({ effect }) => effect! > 0);
    expect(hit.map(({ weight, expert }) => [weight, expert])).toEqual([[hurt, 1]]);
    expect(hit[0]!.effect).toBeCloseTo(damage.blocks[0]!.own.relativeError, 6);
    expect(hit[0]!.own!.relativeError).toBeGreaterThan(0.3);
    for (const { expert, total } of damage.matrices) if (expert !== undefined) expect(total).toBeNull();
  } finally {
    for (const of of [before!, after!]) await of.checkpoint.close();
    for (const of of folders) rmSync(of, { recursive: true });
  }
});

it('refuses models whose blocks have no counterparts', async () => {
  const other = writeTinyModel(tinyModel({ ...config, num_hidden_layers: 2 }));
  const smaller = await openModel(other);
  try {
    await expect(assess(smaller)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('2 blocks, the dense one 4'),
    });
  } finally {
    await smaller.checkpoint.close();
    rmSync(other, { recursive: true });
  }
});
