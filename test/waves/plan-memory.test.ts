import { describe, expect, it } from 'vitest';
import { MISTRAL, syntheticMistral } from '../../bench/synthetic-mistral.js';
import { describeModel, type Model } from '../../src/model/index.js';
import { solverCost } from '../../src/pruning/index.js';
import { parseRecipe } from '../../src/recipe.js';
import { ResidentRoom } from '../../src/tensor/index.js';
import { type MemoryQuestion, plannedMemory } from '../../src/waves/plan-memory.js';

const GIB = 2 ** 30;
/** Of a solver, whose operations do not matter here. */
const solver = { perInput: () => 0, perMatrix: () => 0 };
/** Weights of a block of Mistral-7B: q and o 4096², k and v 1024 · 4096, and three of 14336 · 4096. */
const BLOCK_WEIGHTS = 2 * 4096 ** 2 + 2 * 1024 * 4096 + 3 * 14_336 * 4096;

/** The question about pruning such a model by windows of 128 tokens. */
async function question({
  blocks = 2,
  windows = 8,
  device = 'cpu',
  step = { do: 'prune', sparsity: 0.5 } as object,
} = {}): Promise<MemoryQuestion> {
  const checkpoint = syntheticMistral({ blocks });
  const decoder = await describeModel(checkpoint, { ...MISTRAL, num_hidden_layers: blocks });
  const recipe = parseRecipe({ recipe: 1, model: 'm', out: 'o', steps: [step] }, 'the test');
  const text = { passages: Array.from({ length: windows }, () => ({ ids: new Int32Array(128) })) };
  const inputs = { model: { checkpoint, decoder }, recipe, calibration: text, evaluation: text, gate: {} };
  return {
    inputs: inputs as unknown as MemoryQuestion['inputs'],
    device: { name: device, maxTensorBytes: GIB } as MemoryQuestion['device'],
    costs: [],
    ranksWithinRows: true,
  };
}

describe('plannedMemory', () => {
  it('holds one block, and is the same for 2 blocks and for 32', async () => {
    const two = plannedMemory(await question());
    expect(two.block).toBe(4 * BLOCK_WEIGHTS);
    expect(two.host).toBeGreaterThan(two.block);
    expect(plannedMemory(await question({ blocks: 32 }))).toEqual(two);
  });

  it('keeps hidden states in memory while they fit, each model with its share, and counts them as disk beyond', async () => {
    // 8 windows of 128 tokens, 4096 values of 4 bytes each; while the gate measures, those of two models.
    const states = 8 * 128 * 4096 * 4;
    const asked = await question();
    const held = plannedMemory({ ...asked, memoryBytes: 2 * states });
    expect(held).toMatchObject({ hiddenStates: states, spilled: 0 });
    const spilled = plannedMemory({ ...asked, memoryBytes: 2 * states - 1 });
    expect(spilled).toMatchObject({ hiddenStates: states, spilled: 2 * states });
    expect(spilled.host).toBeLessThan(held.host);
    expect(plannedMemory({ ...asked, memoryBytes: 0 }).host).toBeLessThanOrEqual(spilled.host);
  });

  it('counts scores of a matrix and their order where weights are not compared within rows', async () => {
    const within = plannedMemory(await question());
    const across = plannedMemory({ ...(await question()), ranksWithinRows: false });
    // Of the largest matrix, twice 4 bytes a weight, and three slices of 32 MiB.
    expect(across.host - within.host).toBe(8 * 14_336 * 4096 + 96 * 2 ** 20);
  });

  it('counts a matrix that is stored transposed, which is turned on the host', async () => {
    const asked = { ...(await question({ step: { do: 'quantize', scheme: 'int4' } })), ranksWithinRows: false };
    const plain = plannedMemory(asked);
    const { decoder } = asked.inputs.model;
    const blocks = decoder.blocks.map((block) => ({
      ...block,
      linears: block.linears.map((linear) => (linear.role === 'o' ? { ...linear, layout: 'in-out' as const } : linear)),
    }));
    const model = { ...asked.inputs.model, decoder: { ...decoder, blocks } };
    const turned = plannedMemory({ ...asked, inputs: { ...asked.inputs, model } });
    expect(turned.host - plain.host).toBe(4 * 4096 ** 2);
  });

  it('puts weights and intermediates on a GPU, and the rest on its host', async () => {
    const onCpu = plannedMemory(await question());
    const onGpu = plannedMemory(await question({ device: 'webgpu' }));
    expect(onCpu.gpu).toBeUndefined();
    expect(onGpu.gpu).toBeGreaterThan(onGpu.block);
    // A piece of a matrix is widened on the host before it travels; on the CPU where it stays.
    expect(onGpu.host).toBeLessThan(onCpu.host);
  });

  it('keeps on a GPU the first batches that fit there, of one model and then of the other', async () => {
    const states = 8 * 128 * 4096 * 4;
    const asked = await question({ device: 'webgpu' });
    const withRoom = (bytes: number, memoryBytes = GIB) => {
      const device = { ...asked.device, resident: new ResidentRoom(bytes) };
      return plannedMemory({ ...asked, device, memoryBytes });
    };
    const none = withRoom(0);
    expect(none).toEqual(plannedMemory({ ...asked, memoryBytes: GIB }));
    const all = withRoom(2 * states);
    expect(all).toMatchObject({ hiddenStates: states, resident: 2 * states, spilled: 0 });
    expect(all.gpu).toBe(none.gpu! + 2 * states);
    expect(all.host).toBeLessThan(none.host);
    // 8 windows are two batches of four: 32 MiB hold so many of their widest tensors, [128, 14336].
    const some = withRoom(1.6 * states, 0.3 * states);
    expect(some).toMatchObject({ resident: 1.5 * states, spilled: 0.5 * states });
    expect(some.gpu).toBe(none.gpu! + 1.5 * states);
  });

  it('counts sums that a GPU keeps over a pass: of columns, or of Gram matrices as far as they have room', async () => {
    const asked = await question({ device: 'webgpu' });
    const { gpu = 0 } = plannedMemory(asked);
    const besides = (bytes: number, costs: MemoryQuestion['costs'] = []) =>
      plannedMemory({ ...asked, costs, device: { ...asked.device, sums: new ResidentRoom(bytes) } }).gpu! - gpu;
    // Norms and mean magnitudes of four inputs.
    expect(besides(GIB)).toBe(2 * 8 * (3 * 4096 + 14_336));
    const cost = solverCost(asked.inputs.model as Model, solver, 1024);
    // All four inputs in one pass, three of 3 tiles of 2048 columns and one of 28, two floats an element; besides, a product and a
    // tile's sums while they are added.
    const [kept, adding] = [37 * 8 * 2048 ** 2, 12 * 2048 ** 2];
    expect(besides(2 * GIB, [cost])).toBe(kept + adding);
    expect(besides(GIB, [cost])).toBe(GIB + adding);
    expect(besides(0, [cost])).toBe(0);
  });

  it('counts what goes back through a block: three of it, and the values of the tokens that go together', async () => {
    const asked = await question({ device: 'webgpu' });
    const costing = (gradients: NonNullable<MemoryQuestion['costs'][number]['gradients']>, memoryBytes = 2 * GIB) => {
      const costs = [{ flops: 0, gramBytes: 0, gramSums: { kept: 0, adding: 0 }, gradients }];
      return plannedMemory({ ...asked, costs, memoryBytes });
    };
    // By hand from docs/memory.md: queries are as wide as the model, keys a quarter of it.
    const values = 43 * 4096 + 14.5 * 4096 + 15.5 * 1024 + 12.5 * 14_336;
    // 8 windows of 128 tokens go forward as two batches of four.
    expect(costing({ kinds: 1 }).gpu).toBe(3 * 4 * BLOCK_WEIGHTS + 4 * 4 * 128 * values);
    expect(costing({ kinds: 1, windows: 1 }).gpu).toBe(3 * 4 * BLOCK_WEIGHTS + 4 * 128 * values);
    // One block's gradients, and both blocks': 1.7 GB, or a file.
    const without = costing({ kinds: 0 });
    const [kept, filed] = [costing({ kinds: 1 }), costing({ kinds: 1 }, GIB)];
    expect(kept.host - filed.host).toBe(2 * 4 * BLOCK_WEIGHTS - 4 * 8 * 128 * 4096 * 4);
    expect(kept.host).toBeGreaterThan(without.host);
    // Both heads, and the other block.
    const training = costing({ kinds: 0, training: { learntBytes: GIB } }, 8 * GIB);
    expect(training.gpu! - without.gpu!).toBe(2 * 4 * 4096 * 32_000 + 4 * BLOCK_WEIGHTS);
    expect(training.host - plannedMemory({ ...asked, memoryBytes: 8 * GIB }).host).toBeGreaterThan(GIB / 2);
  });

  it('has no block in memory where no text runs through the model', async () => {
    const bare = plannedMemory(await question({ windows: 0 }));
    expect(bare).toMatchObject({ batch: 0, hiddenStates: 0, spilled: 0 });
    expect(bare.host).toBeLessThan(plannedMemory(await question()).host - bare.block / 2);
  });
});
