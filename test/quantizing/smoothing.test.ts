import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MemoryValues, memoryLayer, overlay, readFloats, type TensorInfo } from '../../src/checkpoint/index.js';
import { type LinearSpec, type Model, openModel, withCheckpoint } from '../../src/model/index.js';
import type { QuantizedSink } from '../../src/quantizing/index.js';
import { amongTargets, BlockScales, vectorsOf } from '../../src/quantizing/smoothing/block-scales.js';
import { normGroups, smoothGroups } from '../../src/quantizing/smoothing/groups.js';
import { inStoredOrder } from '../../src/quantizing/stored-order.js';
import { type Device, decodeToF32, encodeFromF32, openDevice } from '../../src/tensor/index.js';
import {
  architectureFixtures,
  fixtureModel,
  randomIds,
  uniform,
  writeFixture,
} from '../fixtures/architectures/index.js';
import { logitsOf } from '../model/logits.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

const openFixture = (modelType: string) => openModel(writeFixture(fixtureModel(architectureFixtures[modelType]!)));

/** The inputs whose scales can be folded, of each architecture's first block. Its fixture has grouped queries but for gpt2 and gpt_neox. */
const FOLDED: Readonly<Record<string, readonly string[]>> = {
  llama: ['attention-norm', 'ffn-norm', 'ffn-inner'],
  mistral: ['attention-norm', 'ffn-norm', 'ffn-inner'],
  qwen2: ['attention-norm', 'ffn-norm', 'ffn-inner'],
  qwen3: ['attention-norm', 'ffn-norm', 'ffn-inner'],
  gemma2: ['attention-norm', 'ffn-norm', 'ffn-inner'],
  gemma3_text: ['attention-norm', 'ffn-norm', 'ffn-inner'],
  phi3: ['attention-norm', 'ffn-norm', 'ffn-inner'],
  // No gate: between up and down is the activation alone.
  gpt2: ['attention-norm', 'ffn-norm', 'attention-out'],
  gpt_neox: ['attention-norm', 'ffn-norm', 'attention-out'],
};

describe.each(Object.keys(architectureFixtures))('%s', (modelType) => {
  it('computes the same with scales folded into norms and linears', async () => {
    const model = await openFixture(modelType);
    const scaled = await withRandomScales(model);
    const ids = [Int32Array.from(randomIds(12, model.decoder.vocabulary, 3))];
    const [before] = await logitsOf(model, ids, device);
    const [after] = await logitsOf(scaled.model, ids, device);
    const largest = before!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    before!.forEach((value, i) => {
      expect(Math.abs(after![i]! - value) / largest).toBeLessThan(2e-5);
    });
    expect(scaled.changed, 'weights that have other values').toBeGreaterThan(0);
    await model.checkpoint.close();
  });

  const expected = FOLDED[modelType];
  if (expected === undefined) return;
  it(`folds the scales of ${expected.join(', ')}`, async () => {
    const model = await openFixture(modelType);
    const groups = smoothGroups(model.decoder.blocks[0]!, model.decoder);
    expect(groups.map(({ input }) => input)).toEqual(expected);
    expect(normGroups(model.decoder.blocks[0]!, model.decoder).map(({ half }) => half)).toEqual([
      'attention',
      'feed-forward',
    ]);
    await model.checkpoint.close();
  });
});

/** Every group's inputs scaled by 0.25 to 4, in all blocks. */
async function withRandomScales(model: Model): Promise<{ model: Model; changed: number }> {
  const { checkpoint, decoder } = model;
  const random = uniform(5);
  const values = new Map<string, MemoryValues>();
  let changed = 0;
  for (const block of decoder.blocks) {
    const scales = new BlockScales(checkpoint);
    const groups = smoothGroups(block, decoder);
    const written: string[] = [];
    const sink = sinkOf((info, own) => {
      written.push(info.name);
      values.set(info.name, { info, bytes: encodeFromF32(own, info.dtype) });
    });
    for (const group of groups) {
      const { columns } = group.readers[0]!;
      await scales.fold(
        group,
        Float32Array.from({ length: columns }, () => 4 ** (2 * random() - 1)),
        sink,
      );
    }
    expect(written.sort()).toEqual([...vectorsOf(groups)].sort());
    for (const spec of block.linears) {
      const info = checkpoint.tensors.get(spec.weight)!;
      const own = inStoredOrder(await scales.weight(spec), spec);
      if ((await readFloats(checkpoint, spec.weight)).some((value, i) => value !== own[i])) changed += 1;
      values.set(spec.weight, { info, bytes: encodeFromF32(own, info.dtype) });
    }
  }
  return { model: withCheckpoint(model, overlay(checkpoint, [memoryLayer(new Map(), values)])), changed };
}

function sinkOf(take: (info: TensorInfo, values: Float32Array) => void): QuantizedSink {
  return {
    matrix: async () => {
      throw new Error('no codes were asked for');
    },
    values: async (info, values) => take(info, values),
  };
}

describe('folding', () => {
  /** llama's fixture with one norm's gains in another type. */
  async function foldGain(gains: readonly number[], wanted: number, offset: 0 | 1 = 0) {
    const model = await openFixture('llama');
    const [group] = normGroups(model.decoder.blocks[0]!, model.decoder);
    const source = group!.source as Extract<(typeof group & object)['source'], { kind: 'norm' }>;
    const { columns } = group!.readers[0]!;
    const all = Float32Array.from({ length: columns }, (_, j) => gains[j % gains.length]!);
    const bytes = encodeFromF32(all, 'BF16');
    const info: TensorInfo = { name: source.gain, dtype: 'BF16', shape: [columns], byteLength: bytes.length };
    const layer = memoryLayer(new Map(), new Map([[source.gain, { info, bytes }]]));
    const scales = new BlockScales(overlay(model.checkpoint, [layer]));
    let after: Float32Array | undefined;
    const sink = sinkOf((_, own) => {
      after = own;
    });
    await scales.fold({ ...group!, source: { ...source, offset } }, new Float32Array(columns).fill(wanted), sink);
    await model.checkpoint.close();
    return { before: decodeToF32(bytes, 'BF16'), after: after!, scales: scales.of(group!.input)! };
  }

  it('gives the weights what the gain lost to rounding: gain times scale is the gain before', async () => {
    const { before, after, scales } = await foldGain([1, 0.7, -1.3], 3);
    expect(decodeToF32(encodeFromF32(after, 'BF16'), 'BF16')).toEqual(after);
    before.forEach((gain, j) => {
      expect(after[j]! * scales[j]!).toBeCloseTo(gain, 6);
      expect(scales[j]! / 3).toBeCloseTo(1, 2);
    });
  });

  it('divides what a norm multiplies by, not what is stored: 1 + w of Gemma', async () => {
    const { before, after, scales } = await foldGain([0.25, -0.5], 2, 1);
    before.forEach((gain, j) => {
      expect((1 + after[j]!) * scales[j]!).toBeCloseTo(1 + gain, 6);
      expect(1 + after[j]!).toBeCloseTo((1 + gain) / 2, 2);
    });
  });

  it('leaves a gain of 0 where it is: there is nothing to move', async () => {
    const { after, scales } = await foldGain([0, 1], 2);
    expect([after[0], after[1], scales[0], scales[1]]).toEqual([0, 0.5, 1, 2]);
  });

  it('takes groups alone whose every linear is quantized', async () => {
    const model = await openFixture('llama');
    const [block] = model.decoder.blocks;
    const groups = smoothGroups(block!, model.decoder);
    const without = (role: LinearSpec['role']) =>
      amongTargets(
        groups,
        block!.linears.filter((spec) => spec.role !== role).map((spec) => ({ spec })),
      ).map(({ input }) => input);
    expect(without('k')).toEqual(['ffn-norm', 'ffn-inner']);
    expect(without('up')).toEqual(['attention-norm']);
    expect(without('o')).toEqual(['attention-norm', 'ffn-norm', 'ffn-inner']);
    await model.checkpoint.close();
  });
});
