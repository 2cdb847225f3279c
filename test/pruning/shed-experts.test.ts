import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeCheckpoint } from '../../src/checkpoint/index.js';
import { type Model, openModel } from '../../src/model/index.js';
import { Marks } from '../../src/plates/index.js';
import { type EditContext, shedEdit } from '../../src/pruning/index.js';
import { cutModel } from '../../src/shedding/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, withTensors, writeFixture } from '../fixtures/architectures/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { logitsOf } from '../model/logits.js';
import { furthest } from '../shedding/shed-states.js';
import { randomWindows, shedOnce } from './shed-once.js';

const EXPERTS = 5;
const BLOCKS = [0, 1];
const WIDTH = 40;
/** Three matrices and a row of the router. */
const PER_EXPERT = 3 * 28 * WIDTH + WIDTH;
/** Attention of four heads and two key heads, two norms. */
const PER_BLOCK = EXPERTS * PER_EXPERT + 2 * WIDTH * WIDTH + 2 * WIDTH * 20 + 2 * WIDTH;
const sparsityOf = (experts: number) => (experts * PER_EXPERT) / PER_BLOCK;

const mixtral = (
  config: object = {},
  change: (name: string, values: Float32Array) => Float32Array | undefined = () => undefined,
) => {
  const model = fixtureModel(architectureFixtures['mixtral']!, { ...config });
  const changed = [...model.tensors].flatMap(([name, { values }]) => {
    const after = change(name, values);
    return after === undefined ? [] : [[name, after] as const];
  });
  return withTensors(model, new Map(changed));
};

let device: Device;
const opened: Model[] = [];
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(async () => {
  for (const { checkpoint } of opened) await checkpoint.close();
  await device.close();
});

async function open(folder: string): Promise<Model> {
  const model = await openModel(folder);
  opened.push(model);
  return model;
}

const calibration = randomWindows(1, 8, 24, 60);
const TEXT = randomWindows(2, 4, 24, 60).map(({ ids }) => ids);
async function shed(model: Model, sparsity: number, over: Partial<EditContext> = {}) {
  const edit = await shedEdit({ plates: 'experts', sparsity });
  await edit.check!(model);
  const { model: after, proposal } = await shedOnce(model, edit, { device, calibration, ...over });
  return { model: after, marks: proposal.marks!, limit: proposal.limit };
}
const goneIn = (marks: Marks, block: number) =>
  Array.from({ length: EXPERTS }, (_, expert) => expert).filter((expert) => marks.has(`expert:${block}:${expert}`));

describe('shedding experts', () => {
  it('takes those first that add least, of every block as many', async () => {
    // Experts 1 and 3 of block 0, 0 and 4 of block 1 give a thousandth of what they gave.
    const quiet = new Set(['0.1', '0.3', '1.0', '1.4']);
    const dense = await open(
      writeFixture(
        mixtral({}, (name, values) => {
          const [, block, expert] = /layers\.(\d)\..*experts\.(\d)\.w2/.exec(name) ?? [];
          return quiet.has(`${block}.${expert}`) ? values.map((value) => value / 1000) : undefined;
        }),
      ),
    );
    const { marks } = await shed(dense, sparsityOf(2));
    expect(BLOCKS.map((block) => goneIn(marks, block))).toEqual([
      [1, 3],
      [0, 4],
    ]);
  });

  it('goes on from what is shed, leaves what is spared, and says where too few are left', async () => {
    const dense = await open(writeFixture(mixtral()));
    const first = await shed(dense, sparsityOf(3), { target: sparsityOf(1) });
    expect(BLOCKS.map((block) => goneIn(first.marks, block).length)).toEqual([1, 1]);
    const second = await shed(first.model, sparsityOf(3), { target: sparsityOf(3), marks: first.marks });
    expect(BLOCKS.map((block) => goneIn(second.marks, block).length)).toEqual([2, 2]);
    expect([...second.marks.ids()].filter((id) => first.marks.has(id))).toEqual([]);
    const spared = Marks.of([{ kind: 'expert', block: 0, start: 0, count: 4 }]);
    const limited = await shed(dense, sparsityOf(2), { spared });
    expect(limited.limit).toBe('block 0 has 1 experts that may go, and 2 are wanted: others were found to do harm');
    expect(BLOCKS.map((block) => goneIn(limited.marks, block))).toEqual([[4], []]);
  });

  it('leaves a model that computes what the zeros did, whatever goes', { timeout: 60_000 }, async () => {
    const shapes = fc.record({
      perToken: fc.integer({ min: 1, max: 3 }),
      gone: fc.integer({ min: 1, max: 2 }),
      waves: fc.integer({ min: 1, max: 2 }),
      seed: fc.integer({ min: 1, max: 1000 }),
    });
    await fc.assert(
      fc.asyncProperty(shapes, async ({ perToken, gone, waves, seed }) => {
        const folder = writeFixture(
          fixtureModel(architectureFixtures['mixtral']!, { num_experts_per_tok: perToken }, seed),
        );
        let now: { model: Model; marks: Marks } = { model: await open(folder), marks: Marks.none };
        for (let wave = 1; wave <= waves; wave += 1) {
          const target = sparsityOf(wave === waves ? gone : gone - 1);
          const next = await shed(now.model, sparsityOf(gone), { target, marks: now.marks });
          now = { model: next.model, marks: now.marks.with(next.marks) };
        }
        const small = temporaryFolder();
        await writeCheckpoint(await cutModel(now.model, now.marks), small, { carryFrom: folder });
        const cut = await open(small);
        expect(cut.decoder.blocks.map(({ experts }) => experts)).toEqual(
          BLOCKS.map(() => ({ count: EXPERTS - gone, perToken })),
        );
        const router = cut.checkpoint.tensors.get('model.layers.1.block_sparse_moe.gate.weight')!;
        expect(router.shape).toEqual([EXPERTS - gone, WIDTH]);
        expect(furthest(await logitsOf(cut, TEXT, device), await logitsOf(now.model, TEXT, device))).toBeLessThan(1e-4);
      }),
      { numRuns: 8 },
    );
  });

  it.each([
    ['mixtral', { sparsity: sparsityOf(4) }, 'fewer experts than the 2 that each token goes through'],
    ['mixtral', { sparsity: 0.05 }, 'less than half an expert of each block'],
    ['mixtral', { sparsity: 0.2, shedding: 'targeted', target: 'llama.cpp' }, 'a config has one number for all'],
    ['mixtral', { sparsity: 0.2, fold: 'ls' }, '--fold ls has no effect on --plates experts'],
    ['llama', { sparsity: 0.2 }, 'a llama model has no experts'],
  ] as const)('refuses what cannot be, before any work: %s, %o', async (modelType, settings, says) => {
    const model = await open(writeFixture(fixtureModel(architectureFixtures[modelType]!)));
    const checked = (async () => (await shedEdit({ plates: 'experts', ...settings })).check!(model))();
    await expect(checked).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(says) });
  });
});
