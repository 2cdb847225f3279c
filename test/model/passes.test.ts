import { rmSync } from 'node:fs';
import { keep, type Tensor, type Tensor3D } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  batchesOf,
  createHiddenStates,
  disposeBlock,
  disposeTables,
  embedBatches,
  forwardBlock,
  type HiddenStates,
  type LinearInput,
  type LoadedBlock,
  linearOf,
  loadBlock,
  loadFinalNorm,
  loadHead,
  type Model,
  openModel,
  positionTables,
  runBlock,
  withCheckpoint,
} from '../../src/model/index.js';
import { type Device, disposeMatrix, openDevice } from '../../src/tensor/index.js';
import { referenceLogits } from '../reference/float64-decoder.js';
import { TINY_LLAMA, tinyModel, uniform, writeTinyModel } from '../reference/tiny-model.js';

const reference = tinyModel({ ...TINY_LLAMA, attention_bias: true, mlp_bias: true });
const folder = writeTinyModel(reference);
const random = uniform(5);
const sequences = [7, 12, 12, 3].map((length) => Int32Array.from({ length }, () => Math.floor(61 * random())));
const batches = batchesOf(
  sequences.map((ids) => ({ ids })),
  24,
);

let device: Device;
let model: Model;
let block: LoadedBlock;
let states: HiddenStates;

beforeAll(async () => {
  device = await openDevice('cpu');
  model = await openModel(folder);
  states = await createHiddenStates(batches, 32, { memoryBytes: 2 ** 20, spillFolder: '' });
  await embedBatches(model, states);
  block = await loadBlock(model, 0, device);
});
afterAll(async () => {
  disposeBlock(block);
  await states.close();
  await model.checkpoint.close();
  await device.close();
  rmSync(folder, { recursive: true });
});

describe('embedBatches', () => {
  it.each([
    ['the whole table', 2 ** 20],
    ['one page at a time', 1],
  ])('looks up the rows of the ids with room for %s', async (_, cacheBytes) => {
    const table = reference.tensors.get('model.embed_tokens.weight')!.values;
    const looked = await createHiddenStates(batches, 32, { memoryBytes: 2 ** 20, spillFolder: '' });
    await embedBatches(model, looked, { cacheBytes, pageBytes: 4 * 32 * 3 });
    for (const [i, batch] of batches.entries()) {
      const values = await looked.load(i);
      batch.ids.forEach((id, position) => {
        for (let column = 0; column < 32; column++) {
          expect(values[position * 32 + column]).toBe(table[id * 32 + column]);
        }
      });
    }
  });

  it('never holds more of the table than it may, and reads a page that it holds once', async () => {
    const reads: number[] = [];
    const counting = withCheckpoint(model, {
      ...model.checkpoint,
      read: (name, range) => {
        reads.push(range!.offset / (4 * 32 * 10));
        return model.checkpoint.read(name, range);
      },
    });
    const ids = [0, 15, 1, 16, 35, 0, 15];
    const looked = await createHiddenStates(
      batchesOf(
        ids.map((id) => ({ ids: Int32Array.of(id) })),
        1,
      ),
      32,
      { memoryBytes: 2 ** 20, spillFolder: '' },
    );
    await embedBatches(counting, looked, { pageBytes: 4 * 32 * 10, cacheBytes: 2 * 4 * 32 * 10 });
    // Pages of ten rows, two of them held: 35 drops page 0, the older one; 0 then drops page 1, and 15 page 3.
    expect(reads).toEqual([0, 1, 3, 0, 1]);
  });

  it.each([-1, 61])('refuses id %i of a vocabulary of 61', async (id) => {
    const wrong = batchesOf([{ ids: Int32Array.of(3, id) }], 8);
    const looked = await createHiddenStates(wrong, 32, { memoryBytes: 2 ** 20, spillFolder: '' });
    await expect(embedBatches(model, looked)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(`id ${id}`),
    });
  });
});

describe('runBlock', () => {
  it('leaves the device as it found it', async () => {
    const before = device.memory();
    await runBlock(block, states, device, { store: false });
    await runBlock(block, states, device, { store: false, observe: () => {} });
    expect(device.memory()).toEqual(before);
  });

  it('stores nothing when it is told not to, and reports each batch', async () => {
    const before = Float32Array.from(await states.load(0));
    const done: string[] = [];
    await runBlock(block, states, device, { store: false, onBatch: (i, total) => done.push(`${i}/${total}`) });
    expect(await states.load(0)).toEqual(before);
    expect(done).toEqual(['1/2', '2/2']);
  });

  it.each([
    ['attention-norm', ['q', 'k', 'v', 'o', 'gate', 'up', 'down']],
    ['attention-out', ['o', 'gate', 'up', 'down']],
    ['ffn-norm', ['gate', 'up', 'down']],
    ['ffn-inner', ['down']],
  ] as const)('shows %s, the same to the last bit, without the linears that come after it', async (wanted, after) => {
    const seenBy = async (from: LoadedBlock, options: { readonly wanted?: ReadonlySet<LinearInput> }) => {
      const seen: Tensor[] = [];
      const observe = (input: LinearInput, values: Tensor) => {
        if (input === wanted) seen.push(keep(values.clone()));
      };
      await runBlock(from, states, device, { store: false, observe, ...options });
      const values = await Promise.all(seen.map((tensor) => device.read(tensor)));
      for (const tensor of seen) tensor.dispose();
      return values;
    };
    const roles: readonly string[] = after;
    const linears = new Map([...block.linears].filter(([, { spec }]) => !roles.includes(spec.role)));
    const before = device.memory();
    const found = await seenBy(
      {
        ...block,
        spec: { ...block.spec, linears: block.spec.linears.filter(({ role }) => !roles.includes(role)) },
        linears,
      },
      { wanted: new Set([wanted]) },
    );
    expect(device.memory()).toEqual(before);
    expect(found).toHaveLength(batches.length);
    expect(found).toEqual(await seenBy(block, {}));
  });

  it('shows each input of the linears once a batch, real tokens only, as the definition has them', async () => {
    const kept: { input: LinearInput; values: Tensor }[] = [];
    await runBlock(block, states, device, {
      store: false,
      observe: (input, values) => kept.push({ input, values: keep(values.clone()) }),
    });
    const order: LinearInput[] = ['attention-norm', 'attention-out', 'ffn-norm', 'ffn-inner'];
    expect(kept.map(({ input }) => input)).toEqual([...order, ...order]);
    const names = { qkv: 'attention-norm', o: 'attention-out', 'gate-up': 'ffn-norm', down: 'ffn-inner' } as const;
    const expected = new Map<LinearInput, number[][]>();
    for (const batch of batches) {
      for (const passage of batch.passages) {
        referenceLogits(reference, sequences[passage]!, (layer, input, vectors) => {
          if (layer > 0) return;
          const rows = vectors.map((vector) => [...vector]);
          expected.set(names[input], [...(expected.get(names[input]) ?? []), ...rows]);
        });
      }
    }
    for (const input of order) {
      const seen: number[] = [];
      for (const item of kept.filter((candidate) => candidate.input === input)) {
        seen.push(...(await device.read(item.values)));
        item.values.dispose();
      }
      const wanted = expected.get(input)!.flat();
      expect(seen.length).toBe(wanted.length);
      seen.forEach((value, i) => {
        expect(value).toBeCloseTo(wanted[i]!, 4);
      });
    }
  });

  it('lets padding change nothing: a short row gives what it gives alone', async () => {
    const padded = batches[1]!;
    expect([...padded.lengths]).toEqual([7, 3]);
    const together = await outputsOf(padded.passages, 24);
    const alone = await outputsOf(padded.passages, 1);
    together.forEach((values, row) => {
      values.forEach((value, i) => {
        expect(value).toBeCloseTo(alone[row]![i]!, 5);
      });
    });
  });

  it('stops between batches when it is aborted', async () => {
    const controller = new AbortController();
    const before = device.memory();
    const stopped = runBlock(block, states, device, {
      store: false,
      signal: controller.signal,
      onBatch: () => controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted', exitCode: 130 });
    expect(device.memory()).toEqual(before);
  });

  it('leaves nothing behind when an observer throws', async () => {
    const before = device.memory();
    const observe = () => {
      throw new Error('observer');
    };
    await expect(runBlock(block, states, device, { store: true, observe })).rejects.toThrow('observer');
    expect(device.memory()).toEqual(before);
  });
});

describe('forwardBlock', () => {
  it('does not change its input and gives back one tensor', async () => {
    const values = await states.load(0);
    const input = device.upload(values, [2, 12, 32]) as Tensor3D;
    const tables = positionTables(block, 12, device);
    const before = device.memory().tensors;
    const output = forwardBlock(block, input, tables);
    expect(device.memory().tensors).toBe(before + 1);
    expect(await device.read(input)).toEqual(values);
    output.dispose();
    input.dispose();
    disposeTables(tables);
  });
});

describe('weights on a device with small tensors', () => {
  it('are split by rows and compute the same', async () => {
    const split = await loadBlock(model, 0, limited(4 * 32 * 13));
    expect(linearOf(split, 'q')!.weight.parts.map((part) => part.shape[0])).toEqual([13, 13, 6]);
    expect(linearOf(split, 'down')!.weight.parts.map((part) => part.shape)).toEqual(
      [9, 9, 9, 5].map((rows) => [rows, 44]),
    );
    const whole = await outputOfBlock(block);
    (await outputOfBlock(split)).forEach((value, i) => {
      expect(value).toBeCloseTo(whole[i]!, 5);
    });
    disposeBlock(split);
  });

  it('an output head too', async () => {
    const head = await loadHead(model, limited(4 * 32 * 25));
    expect([head.rows, head.columns, head.parts.map((part) => part.shape[0])]).toEqual([61, 32, [25, 25, 11]]);
    disposeMatrix(head);
  });

  it('are dropped again when one of them cannot be read', async () => {
    const before = device.memory();
    const broken = withCheckpoint(model, {
      ...model.checkpoint,
      read: async (name, range) => {
        if (name.includes('down_proj.bias')) throw new Error('disk');
        return model.checkpoint.read(name, range);
      },
    });
    await expect(loadBlock(broken, 0, device)).rejects.toThrow('disk');
    expect(device.memory()).toEqual(before);
  });

  it('a block that does not exist is a bug', async () => {
    await expect(loadBlock(model, 2, device)).rejects.toThrow(RangeError);
  });
});

describe('loadFinalNorm', () => {
  it("uploads the last norm's gain", async () => {
    const norm = await loadFinalNorm(model, device);
    expect([...(await device.read(norm.gain))]).toEqual([
      ...Array.from(reference.tensors.get('model.norm.weight')!.values),
    ]);
    expect(norm.epsilon).toBe(1e-5);
    norm.gain.dispose();
  });
});

/** The open device, with another limit. */
function limited(maxTensorBytes: number): Device {
  return {
    ...device,
    maxTensorBytes,
    upload: (values, shape) => device.upload(values, shape),
    read: (tensor) => device.read(tensor),
    memory: () => device.memory(),
    close: () => device.close(),
  };
}

/** The block's outputs for the named sequences, real positions only, in that order. */
async function outputsOf(passages: Int32Array, maxTokens: number): Promise<number[][]> {
  const chosen = [...passages].map((passage) => ({ ids: sequences[passage]! }));
  const own = await createHiddenStates(batchesOf(chosen, maxTokens), 32, { memoryBytes: 2 ** 20, spillFolder: '' });
  await embedBatches(model, own);
  await runBlock(block, own, device, { store: true });
  const outputs: number[][] = [];
  for (const [i, batch] of own.batches.entries()) {
    const values = await own.load(i);
    batch.passages.forEach((passage, row) => {
      const start = row * batch.columns * 32;
      outputs[passage] = [...values.subarray(start, start + batch.lengths[row]! * 32)];
    });
  }
  return outputs;
}

async function outputOfBlock(loaded: LoadedBlock) {
  const input = device.upload(await states.load(0), [2, 12, 32]) as Tensor3D;
  const tables = positionTables(block, 12, device);
  const output = forwardBlock(loaded, input, tables);
  const values = await device.read(output);
  for (const tensor of [input, output]) tensor.dispose();
  disposeTables(tables);
  return values;
}
