import type { Decoder } from '../../src/model/index.js';

/** A decoder without blocks, for tests of what depends on sizes only. */
export function decoderOf(overrides: Partial<Decoder>): Decoder {
  return {
    architecture: 'llama',
    hidden: 32,
    heads: 4,
    kvHeads: 4,
    headDim: 8,
    ffn: 64,
    vocabulary: 50,
    maxContext: 64,
    norm: 'rms',
    normEpsilon: 1e-5,
    activation: 'silu',
    parallelResidual: false,
    ropeTheta: 10_000,
    ropeScaling: { kind: 'none' },
    eosTokenIds: [],
    blocks: [],
    embedding: 'model.embed_tokens.weight',
    finalNorm: 'model.norm.weight',
    head: 'lm_head.weight',
    tied: false,
    ...overrides,
  };
}
