import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { convert } from '../../src/conversion/index.js';
import { openModel } from '../../src/model/index.js';
import { Marks, type PlateRange, plateGraph } from '../../src/plates/index.js';
import { openDevice } from '../../src/tensor/index.js';
import { architectureFixtures, fixtureModel, randomIds, writeFixture } from '../fixtures/architectures/index.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { writeTokenizer } from '../fixtures/workplace.js';
import { llamaMissing, withLlama } from '../llama/llama.js';
import { logitsOf, negativeLogLikelihood } from '../model/logits.js';
import { writeCut } from './shed-states.js';

const LENGTH = 40;
const blocks = [0, 1, 2];
/** The same channels of every block, and of every expert. */
const channels = (networks = 1, width = 0) =>
  blocks.flatMap((block) =>
    Array.from(
      { length: networks },
      (_, e) => ({ kind: 'ffn-channel', block, start: e * width + 3, count: 8 }) as const,
    ),
  );
const groups = blocks.map((block) => ({ kind: 'kv-group', block, start: 1, count: 1 }) as const);

interface Case {
  readonly modelType: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly plates: readonly PlateRange[];
}

const CASES: readonly Case[] = [
  { modelType: 'qwen3', plates: [...channels(), ...groups] },
  { modelType: 'qwen2', plates: channels() },
  { modelType: 'gemma2', config: { query_pre_attn_scalar: 12 }, plates: [...channels(), ...groups] },
  { modelType: 'gemma3_text', config: { query_pre_attn_scalar: 12 }, plates: [...channels(), ...groups] },
  {
    modelType: 'gemma3_text',
    config: { query_pre_attn_scalar: 12 },
    plates: [{ kind: 'block', block: 1, start: 1, count: 1 }],
  },
  { modelType: 'phi3', config: { sliding_window: null }, plates: channels() },
  { modelType: 'mixtral', plates: [...channels(5, 28), ...groups] },
  { modelType: 'mixtral', plates: blocks.map((block) => ({ kind: 'expert', block, start: block, count: 2 }) as const) },
  { modelType: 'gpt2', plates: channels() },
  { modelType: 'gpt_neox', plates: channels() },
];

async function shedGguf({ modelType, plates, config }: Case) {
  const folder = writeFixture(fixtureModel(architectureFixtures[modelType]!, config));
  writeTokenizer(folder);
  const model = await openModel(folder);
  const graph = plateGraph(model.decoder);
  const there = plates.filter(({ block = 0 }) => block < graph.blocks.length);
  const small = await writeCut(model, Marks.of(there), temporaryFolder());
  await model.checkpoint.close();
  return small;
}

describe('what is left of a shed model, as GGUF', () => {
  it.skipIf(llamaMissing !== undefined).each(CASES)(
    `is computed by llama.cpp as here: $modelType without $plates.0.kind${llamaMissing === undefined ? '' : ` (${llamaMissing})`}`,
    async (one) => {
      const small = await shedGguf(one);
      const file = path.join(temporaryFolder(), 'small.gguf');
      await convert({ model: small, out: file });
      const model = await openModel(small);
      const { vocabulary } = model.decoder;
      const ids = randomIds(LENGTH, vocabulary, 9);
      const device = await openDevice('cpu');
      const [logits] = await logitsOf(model, [ids], device);
      await model.checkpoint.close();
      await device.close();
      const ours = Array.from(ids.subarray(1), (id, t) => negativeLogLikelihood(logits!, t, vocabulary, id));
      const theirs = await withLlama(file, (llama) => llama.negativeLogLikelihoods([...ids]));
      const worst = ours.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i]!)), 0);
      // llama.cpp keeps keys and values in F16.
      expect(worst).toBeLessThan(0.03);
      const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
      expect(Math.abs(Math.exp(mean(theirs) - mean(ours)) - 1)).toBeLessThan(0.005);
    },
  );

  it.each(['qwen2', 'phi3'] as const)(
    'is refused of %s without heads, which llama.cpp takes to be as wide as the stream',
    async (modelType) => {
      const small = await shedGguf({ modelType, plates: groups });
      const refused = convert({ model: small, out: path.join(temporaryFolder(), 'small.gguf') });
      await expect(refused).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining('residual stream'),
      });
    },
  );
});
