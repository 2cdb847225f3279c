import { describe, expect, it } from 'vitest';
import { describeModel } from '../../src/model/index.js';
import { TINY_LLAMA, type TinyConfig, tinyModel } from '../reference/tiny-model.js';
import { checkpointOf } from './checkpoint-of.js';

const untied = tinyModel(TINY_LLAMA);
const tiedConfig: TinyConfig = { ...TINY_LLAMA, tie_word_embeddings: true };
const embeddingOnly = tinyModel(tiedConfig).tensors;
const headOnly = new Map(
  [...embeddingOnly].map(([name, tensor]) => [name === 'model.embed_tokens.weight' ? 'lm_head.weight' : name, tensor]),
);
const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';

describe('the head and the embedding', () => {
  it('are two tensors when both are stored', async () => {
    const decoder = await describeModel(checkpointOf(untied.tensors), untied.config);
    expect(decoder).toMatchObject({ embedding: EMBEDDING, head: HEAD, tied: false });
  });

  it('are both read when both are stored although the config ties them', async () => {
    const decoder = await describeModel(checkpointOf(untied.tensors), tiedConfig);
    expect(decoder).toMatchObject({ embedding: EMBEDDING, head: HEAD, tied: false });
  });

  it.each([
    ['the embedding', embeddingOnly, EMBEDDING],
    ['the head', headOnly, HEAD],
  ])('are one when the config ties them and only %s is stored', async (_, tensors, name) => {
    const decoder = await describeModel(checkpointOf(tensors), tiedConfig);
    expect(decoder).toMatchObject({ embedding: name, head: name, tied: true });
  });

  it.each([
    [embeddingOnly, { [HEAD]: EMBEDDING }, EMBEDDING],
    [headOnly, { [EMBEDDING]: HEAD }, HEAD],
  ])('are one when the file says so by an alias', async (tensors, aliases, name) => {
    for (const config of [TINY_LLAMA, tiedConfig]) {
      const decoder = await describeModel(checkpointOf(tensors, { aliases }), config);
      expect(decoder).toMatchObject({ embedding: name, head: name, tied: true });
    }
  });

  it.each([
    [embeddingOnly, HEAD],
    [headOnly, EMBEDDING],
  ])('are refused when one is missing and nothing ties them', async (tensors, tensor) => {
    await expect(describeModel(checkpointOf(tensors), TINY_LLAMA)).rejects.toMatchObject({
      code: 'unreadable',
      tensor,
    });
  });
});

describe('a tensor that two weights share by an alias', () => {
  it('is refused: compressing one would change the other', async () => {
    const shared = 'model.layers.0.mlp.up_proj.weight';
    const other = 'model.layers.1.mlp.up_proj.weight';
    const tensors = new Map([...untied.tensors].filter(([name]) => name !== other));
    const refused = describeModel(checkpointOf(tensors, { aliases: { [other]: shared } }), untied.config);
    await expect(refused).rejects.toMatchObject({ code: 'unsupported', tensor: shared });
    await expect(refused).rejects.toThrow(other);
  });
});

describe('what a config leaves out', () => {
  const described = (config: Record<string, unknown>) =>
    describeModel(checkpointOf(tinyModel({ ...TINY_LLAMA, ...config } as TinyConfig).tensors), {
      ...JSON.parse(JSON.stringify({ ...TINY_LLAMA, ...config })),
    });

  it("takes Llama's defaults", async () => {
    const absent = { rope_theta: undefined, rms_norm_eps: undefined, max_position_embeddings: undefined };
    expect(
      await described({ ...absent, tie_word_embeddings: undefined, num_key_value_heads: undefined }),
    ).toMatchObject({
      ropeTheta: 10_000,
      normEpsilon: 1e-6,
      maxContext: 2048,
      kvHeads: 4,
      headDim: 8,
      tied: false,
      ropeScaling: { kind: 'none' },
      eosTokenIds: [],
    });
  });

  it("takes Mistral's: a window of 4096 when the key is absent, none when it is null", async () => {
    const mistral = { model_type: 'mistral', architectures: null };
    expect((await described(mistral)).slidingWindow).toBe(4096);
    expect((await described({ ...mistral, sliding_window: null })).slidingWindow).toBeUndefined();
    expect((await described({ ...mistral, sliding_window: 7 })).slidingWindow).toBe(7);
  });

  it('reads the token ids as one number or as a list', async () => {
    expect(await described({ bos_token_id: 1, eos_token_id: 2 })).toMatchObject({ bosTokenId: 1, eosTokenIds: [2] });
    expect(await described({ eos_token_id: [2, 5] })).toMatchObject({ eosTokenIds: [2, 5] });
    expect('bosTokenId' in (await described({ bos_token_id: null }))).toBe(false);
  });
});

describe('the element type of a weight', () => {
  it.each(['F32', 'F16', 'BF16', 'F64'] as const)('%s is run', async (dtype) => {
    await describeModel(checkpointOf(untied.tensors, { dtype }), untied.config);
  });

  it.each(['I8', 'U8', 'F8_E4M3', 'I32', 'BOOL'] as const)('%s is refused by name', async (dtype) => {
    await expect(describeModel(checkpointOf(untied.tensors, { dtype }), untied.config)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(`is ${dtype}`),
    });
  });
});
