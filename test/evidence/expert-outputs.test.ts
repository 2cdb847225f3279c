import { expect, it } from 'vitest';
import { collectExpertOutputs } from '../../src/evidence/index.js';
import {
  batchesOf,
  createHiddenStates,
  disposeBlock,
  embedBatches,
  loadBlock,
  openModel,
} from '../../src/model/index.js';
import { openDevice } from '../../src/tensor/index.js';
import {
  architectureFixtures,
  type FixtureModel,
  fixtureModel,
  withTensors,
  writeFixture,
} from '../fixtures/architectures/index.js';
import { randomWindows } from '../pruning/shed-once.js';

const O_PROJ = 'model.layers.0.self_attn.o_proj.weight';

/** Mixtral's first block without attention: what its experts see is the norm of the embedding's rows. */
function withoutAttention(): FixtureModel {
  const model = fixtureModel(architectureFixtures['mixtral']!);
  return withTensors(model, new Map([[O_PROJ, new Float32Array(model.tensors.get(O_PROJ)!.values.length)]]));
}

/** By the definition, in double precision: tokens of each expert, and Σ share · ‖w2 (silu(w1 x) ∘ w3 x)‖. */
function outputsByHand({ config, tensors }: FixtureModel, texts: readonly Int32Array[]) {
  const [hidden, count, perToken] = ['hidden_size', 'num_local_experts', 'num_experts_per_tok'].map(
    (key) => config[key] as number,
  ) as [number, number, number];
  const matrix = (name: string) => tensors.get(`model.layers.0.${name}.weight`)!;
  const times = (name: string, x: readonly number[]) => {
    const { shape, values } = matrix(name);
    return Array.from({ length: shape[0]! }, (_, row) =>
      x.reduce((sum, value, column) => sum + value * values[row * x.length + column]!, 0),
    );
  };
  const found = Array.from({ length: count }, () => ({ tokens: 0, weighted: 0 }));
  for (const id of texts.flatMap((text) => [...text])) {
    const row = [...tensors.get('model.embed_tokens.weight')!.values.subarray(id * hidden, (id + 1) * hidden)];
    const root = Math.sqrt(
      row.reduce((sum, value) => sum + value ** 2, 0) / hidden + (config['rms_norm_eps'] as number),
    );
    const gain = matrix('post_attention_layernorm').values;
    const x = row.map((value, j) => (value / root) * gain[j]!);
    const logits = times('block_sparse_moe.gate', x);
    const chosen = logits
      .map((_, expert) => expert)
      .sort((a, b) => logits[b]! - logits[a]!)
      .slice(0, perToken);
    const total = chosen.reduce((sum, expert) => sum + Math.exp(logits[expert]!), 0);
    for (const expert of chosen) {
      const name = `block_sparse_moe.experts.${expert}`;
      const up = times(`${name}.w3`, x);
      const inner = times(`${name}.w1`, x).map((value, j) => (value / (1 + Math.exp(-value))) * up[j]!);
      const norm = Math.sqrt(times(`${name}.w2`, inner).reduce((sum, value) => sum + value ** 2, 0));
      found[expert]!.tokens += 1;
      found[expert]!.weighted += (Math.exp(logits[expert]!) / total) * norm;
    }
  }
  return found;
}

it('is how often tokens go through an expert, with which share, and how large what it makes is', async () => {
  const tiny = withoutAttention();
  const windows = randomWindows(4, 6, 20, 60);
  // One is shorter: padding goes through no expert.
  windows[5] = { ids: windows[5]!.ids.subarray(0, 7) };
  const model = await openModel(writeFixture(tiny));
  const device = await openDevice('cpu');
  const states = await createHiddenStates(batchesOf(windows, 64), model.decoder.hidden, {
    memoryBytes: 2 ** 28,
    spillFolder: '',
  });
  await embedBatches(model, states);
  const block = await loadBlock(model, 0, device);
  const before = device.memory().tensors;
  const found = await collectExpertOutputs(block, states, { device });
  expect(device.memory().tensors).toBe(before);
  const expected = outputsByHand(
    tiny,
    windows.map(({ ids }) => ids),
  );
  expect(found.map(({ tokens }) => tokens)).toEqual(expected.map(({ tokens }) => tokens));
  found.forEach(({ weighted }, expert) => {
    expect(weighted / expected[expert]!.weighted).toBeCloseTo(1, 4);
  });
  disposeBlock(block);
  await states.close();
  await model.checkpoint.close();
  await device.close();
});
