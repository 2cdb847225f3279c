import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeCheckpoint } from '../../src/checkpoint/index.js';
import { type Model, openModel } from '../../src/model/index.js';
import { Marks, plateGraph } from '../../src/plates/index.js';
import { type Edit, type EditContext, shedEdit } from '../../src/pruning/index.js';
import { cutModel } from '../../src/shedding/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { logitsOf } from '../model/logits.js';
import { TINY_LLAMA, type TinyConfig, tinyModel, writeTinyModel } from '../reference/tiny-model.js';
import { furthest } from '../shedding/shed-states.js';
import { randomWindows, shedOnce } from './shed-once.js';

const CONFIG: TinyConfig = {
  ...TINY_LLAMA,
  num_hidden_layers: 4,
  intermediate_size: 64,
  num_attention_heads: 8,
  num_key_value_heads: 4,
};

let device: Device;
const models: Model[] = [];
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(async () => {
  for (const { checkpoint } of models) await checkpoint.close();
  await device.close();
});

async function open(change: (tensors: Map<string, Float32Array>) => void = () => {}, config = CONFIG): Promise<Model> {
  const tiny = tinyModel(config);
  change(new Map([...tiny.tensors].map(([name, { values }]) => [name, values as Float32Array])));
  const model = await openModel(writeTinyModel(tiny));
  models.push(model);
  return model;
}

/** The model with what one wave of the edit writes, and the plates that it sheds. */
async function shed(
  model: Model,
  edit: Edit,
  over: Partial<EditContext> = {},
): Promise<{ model: Model; marks: Marks; limit?: string }> {
  const { model: after, proposal } = await shedOnce(model, edit, { device, ...over });
  return { model: after, marks: proposal.marks ?? Marks.none, ...(proposal.limit && { limit: proposal.limit }) };
}

const TEXT = randomWindows(2, 6).map(({ ids }) => ids);
const distance = async (one: Model, other: Model) => {
  const [left, right] = [await logitsOf(one, TEXT, device), await logitsOf(other, TEXT, device)];
  return left.reduce(
    (sum, row, i) => sum + row.reduce((inner, value, j) => inner + (value - right[i]![j]!) ** 2, 0),
    0,
  );
};
const countIn = (marks: Marks, kind: 'ffn-channel' | 'kv-group', block: number) =>
  marks.indices(kind, block).reduce((sum, { count }) => sum + count, 0);
const counts = (marks: Marks, kind: 'ffn-channel' | 'kv-group') =>
  [0, 1, 2, 3].map((block) => countIn(marks, kind, block));

describe('shedding heads and channels', () => {
  it('leaves the same width everywhere, and a cut model that computes the same', async () => {
    const dense = await open();
    const edit = await shedEdit({ plates: 'auto', sparsity: 0.25 });
    expect(await edit.check!(dense)).toEqual([]);
    const { model, marks } = await shed(dense, edit);
    expect(counts(marks, 'kv-group')).toEqual([1, 1, 1, 1]);
    expect(counts(marks, 'ffn-channel')).toEqual([16, 16, 16, 16]);
    const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-shed-'));
    await writeCheckpoint(await cutModel(model, marks), folder, { carryFrom: dense.checkpoint.path });
    const cut = await openModel(folder);
    models.push(cut);
    expect(cut.decoder).toMatchObject({ architecture: 'llama', heads: 6, kvHeads: 3, headDim: 4, ffn: 48 });
    expect(furthest(await logitsOf(cut, TEXT, device), await logitsOf(model, TEXT, device))).toBeLessThan(1e-5);
  });

  it('folds what goes into what stays: nearer to the dense model than dropping', async () => {
    // The last 16 channels of every network are others of its channels again, with weights of their own in what follows.
    const dense = await open((tensors) => {
      for (let block = 0; block < 4; block += 1) {
        for (const part of ['gate', 'up']) {
          const rows = tensors.get(`model.layers.${block}.mlp.${part}_proj.weight`)!;
          rows.copyWithin(48 * 32, 0, 16 * 32);
        }
      }
    });
    const sparsity = (16 * 96) / (64 * 96 + 3072 + 64);
    const folded = await shed(dense, await shedEdit({ plates: 'ffn', sparsity }));
    const dropped = await shed(dense, await shedEdit({ plates: 'ffn', sparsity, fold: 'none' }));
    expect(counts(folded.marks, 'ffn-channel')).toEqual([16, 16, 16, 16]);
    expect(await distance(folded.model, dense)).toBeLessThan(0.05 * (await distance(dropped.model, dense)));
  });

  it('sheds channels first that do nothing', async () => {
    const dead = [3, 17, 42];
    const model = await open((tensors) => {
      for (let block = 0; block < 4; block += 1) {
        const gate = tensors.get(`model.layers.${block}.mlp.gate_proj.weight`)!;
        for (const channel of dead) gate.fill(0, channel * 32, (channel + 1) * 32);
      }
    });
    const { marks } = await shed(model, await shedEdit({ plates: 'ffn', sparsity: (3 * 96) / (64 * 96 + 3072 + 64) }));
    for (let block = 0; block < 4; block += 1) {
      expect(marks.indices('ffn-channel', block).map(({ start }) => start)).toEqual(dead);
    }
  });

  it('does not shed what is spared, and goes on from what is shed', async () => {
    const dense = await open();
    const edit = await shedEdit({ plates: 'ffn', sparsity: 0.3 });
    const first = await shed(dense, edit, { target: 0.15 });
    const graph = plateGraph(dense.decoder);
    const spared = Marks.of([...first.marks.ids()].slice(0, 5).map((id) => graph.plate(id)));
    const again = await shed(dense, edit, { target: 0.15, spared });
    expect([...again.marks.ids()].filter((id) => spared.has(id))).toEqual([]);
    expect(counts(again.marks, 'ffn-channel')).toEqual(counts(first.marks, 'ffn-channel'));
    const second = await shed(first.model, edit, { target: 0.3, marks: first.marks });
    expect([...second.marks.ids()].filter((id) => first.marks.has(id))).toEqual([]);
    const whole = await shed(dense, edit, { target: 0.3 });
    expect(counts(first.marks.with(second.marks), 'ffn-channel')).toEqual(counts(whole.marks, 'ffn-channel'));
  });

  it('protects a channel whose activations stand out, until it is released', async () => {
    // Channel 9 is large and cheap at once: its column of down is nearly nothing.
    const model = await open((tensors) => {
      for (let block = 0; block < 4; block += 1) {
        const up = tensors.get(`model.layers.${block}.mlp.up_proj.weight`)!;
        for (let column = 0; column < 32; column += 1) up[9 * 32 + column]! *= 60;
        const down = tensors.get(`model.layers.${block}.mlp.down_proj.weight`)!;
        for (let row = 0; row < 32; row += 1) down[row * 64 + 9]! *= 1e-5;
      }
    });
    const settings = { plates: 'ffn', sparsity: 0.1, fold: 'none' } as const;
    const careful = await shed(model, await shedEdit({ ...settings, aggressiveness: 0 }));
    expect([0, 1, 2, 3].some((block) => careful.marks.has(`ffn-channel:${block}:9`))).toBe(false);
    const bold = await shed(model, await shedEdit({ ...settings, aggressiveness: 1 }));
    expect([0, 1, 2, 3].every((block) => bold.marks.has(`ffn-channel:${block}:9`))).toBe(true);
  });

  it('says where too few may go, and has written everything that it planned', async () => {
    const model = await open();
    const edit = await shedEdit({ plates: 'ffn', sparsity: 0.3 });
    const spared = Marks.of([{ kind: 'ffn-channel', block: 1, start: 0, count: 50 }]);
    const { marks, limit } = await shed(model, edit, { spared });
    expect(limit).toMatch(
      /^block 1 has 14 plates of kind ffn-channel that may go, and \d+ are wanted: 0 are protected/,
    );
    const [first, second, third, fourth] = counts(marks, 'ffn-channel');
    expect(first).toBeGreaterThan(14);
    expect([second, third, fourth]).toEqual([14, 0, 0]);
    expect((await shed(model, edit, { spared, target: 0.1 })).limit).toBeUndefined();
  });

  it.each(['targeted', 'adaptive'] as const)(
    '%s: a block that hardly counts gives more than the others',
    async (shedding) => {
      const model = await open(
        (tensors) => {
          const down = tensors.get('model.layers.2.mlp.down_proj.weight')!;
          down.forEach((value, i) => {
            down[i] = value / 50;
          });
        },
        { ...CONFIG, intermediate_size: 128 },
      );
      const edit = await shedEdit({ plates: 'ffn', sparsity: 0.3, shedding, target: 'llama.cpp' });
      await edit.check!(model);
      const { marks } = await shed(model, edit);
      const [first, second, third, fourth] = counts(marks, 'ffn-channel') as [number, number, number, number];
      expect(third).toBeGreaterThan(Math.max(first, second, fourth));
      expect([first, second, third, fourth].every((count) => count % 32 === 0)).toBe(true);
    },
  );
});

describe('shedding blocks', () => {
  const idle = (block: number) => (tensors: Map<string, Float32Array>) => {
    tensors.get(`model.layers.${block}.self_attn.o_proj.weight`)!.fill(0);
    tensors.get(`model.layers.${block}.mlp.down_proj.weight`)!.fill(0);
  };

  it('finds the block that does nothing', async () => {
    const dense = await open(idle(2));
    const edit = await shedEdit({ plates: 'blocks', sparsity: 0.25 });
    await edit.check!(dense);
    const { model, marks } = await shed(dense, edit);
    expect([...marks.ids()]).toEqual(['block:2']);
    expect(await distance(model, dense)).toBe(0);
  });

  it('keeps the first and the last, unless they are released', async () => {
    const dense = await open(idle(3));
    const kept = await shed(dense, await shedEdit({ plates: 'blocks', sparsity: 0.25 }));
    expect([...kept.marks.ids()]).not.toContain('block:3');
    const released = await shed(dense, await shedEdit({ plates: 'blocks', sparsity: 0.25, aggressiveness: 1 }));
    expect([...released.marks.ids()]).toEqual(['block:3']);
  });

  it('says where too few may go, and sheds none', async () => {
    const dense = await open();
    const { marks, limit } = await shed(dense, await shedEdit({ plates: 'blocks', sparsity: 0.75 }));
    expect(limit).toMatch(/^3 plates of kind block are to go, and 2 may: the first and last blocks are protected/);
    expect(marks.isEmpty).toBe(true);
  });

  it('sheds halves where the engine takes them', async () => {
    const dense = await open((tensors) => {
      tensors.get('model.layers.1.self_attn.o_proj.weight')!.fill(0);
      tensors.get('model.layers.2.mlp.down_proj.weight')!.fill(0);
    });
    const edit = await shedEdit({ plates: 'blocks', sparsity: 0.25, shedding: 'targeted', target: 'vllm' });
    await edit.check!(dense);
    const { model, marks } = await shed(dense, edit);
    expect([...marks.ids()]).toEqual(['attention:1', 'ffn:2']);
    expect(await distance(model, dense)).toBe(0);
  });
});

describe('shedding hidden dimensions', () => {
  it('says where too few may go', async () => {
    const dense = await open();
    const spared = Marks.of([{ kind: 'hidden', start: 0, count: 30 }]);
    const { marks, limit } = await shed(dense, await shedEdit({ plates: 'hidden', sparsity: 0.25 }), { spared });
    expect(limit).toMatch(/^8 hidden dimensions are to go, and 2 may/);
    expect(marks.size).toBe(2);
  });

  it('finds those that nothing reads, and corrects the norms of what is left', async () => {
    const silent = [4, 9, 23, 31];
    const dense = await open((tensors) => {
      for (const [name, values] of tensors) {
        if (!/norm\.weight$/.test(name)) continue;
        for (const j of silent) values[j] = 0;
      }
    });
    const edit = await shedEdit({ plates: 'hidden', sparsity: 4 / 32 });
    await edit.check!(dense);
    const { model, marks } = await shed(dense, edit);
    expect(marks.indices('hidden').flatMap(({ start, count }) => [start, start + count - 1])).toEqual(
      silent.flatMap((j) => [j, j]),
    );
    const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-hidden-'));
    await writeCheckpoint(await cutModel(model, marks), folder, { carryFrom: dense.checkpoint.path });
    const cut = await openModel(folder);
    models.push(cut);
    expect(cut.decoder).toMatchObject({ hidden: 28, headDim: 4 });
    expect(furthest(await logitsOf(cut, TEXT, device), await logitsOf(model, TEXT, device))).toBeLessThan(1e-5);
  });
});

describe('what will not load is refused before any work', () => {
  const refusal = async (settings: Parameters<typeof shedEdit>[0], config: TinyConfig = CONFIG) => {
    const model = await open(undefined, config);
    return (async () => (await shedEdit(settings)).check!(model))();
  };

  it.each([
    [
      { plates: 'auto', sparsity: 0.2, shedding: 'targeted' },
      '--shedding targeted makes blocks of different widths, which --target hf does not load',
    ],
    [
      { plates: 'heads', sparsity: 0.1, shedding: 'adaptive', target: 'vllm' },
      '--target vllm reads one number for all',
    ],
    [
      { plates: 'heads', sparsity: 0.1, target: 'vllm', tensorParallel: 3 },
      '--tp 3 does not divide the 8 query heads and 4 KV heads of block 0',
    ],
    [
      { plates: 'ffn', sparsity: 0.1, target: 'vllm' },
      'is less than half a step: --target vllm takes them in steps of 128 of 64 FFN channels',
    ],
    [{ plates: 'ffn', sparsity: 0.05, target: 'llama.cpp' }, 'in steps of 32 of 64 FFN channels'],
    [{ plates: 'ffn', sparsity: 0.9 }, 'cannot be reached with FFN channels'],
    [{ plates: 'blocks', sparsity: 0.05 }, 'is less than half of a block'],
    [{ plates: 'blocks', sparsity: 0.99 }, 'is all of the 4 blocks'],
    [
      { plates: 'blocks', sparsity: 0.25, shedding: 'targeted' },
      '--plates blocks --shedding targeted sheds halves of blocks',
    ],
    [{ plates: 'ffn', sparsity: 0.2, tensorParallel: 2 }, '--tp 2 has no effect: --target hf'],
    [{ plates: 'ffn' }, '--plates ffn leaves open how much to shed'],
    [{ plates: 'ffn', sparsity: 0.2, pattern: '2:4' }, '--pattern 2:4 is of single weights'],
    [{ plates: 'blocks', sparsity: 0.25, fold: 'ls' }, '--fold ls has no effect on --plates blocks'],
    [{ plates: 'hidden', sparsity: 0.25, fold: 'flap' }, '--fold flap has no effect on --plates hidden'],
  ] as const)('%o', async (settings, message) => {
    await expect(refusal(settings)).rejects.toThrow(message);
  });

  it('says what a width costs that the engine has a name for', async () => {
    const [notice] = await refusal({ plates: 'ffn', sparsity: 0.3, target: 'llama.cpp' });
    expect(notice).toBe(
      'Widths are multiples of 32 and not of 256, since 64 is none: in llama.cpp Q4_K and Q6_K tensors become Q5_0 and Q8_0.',
    );
  });
});
