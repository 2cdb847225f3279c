import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type Checkpoint, type TensorInfo, writeCheckpoint } from '../src/checkpoint/index.js';
import { encodeFromF32 } from '../src/tensor/index.js';

/** config.json of Mistral-7B-v0.1 as far as its shapes go. */
export const MISTRAL = {
  architectures: ['MistralForCausalLM'],
  model_type: 'mistral',
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 14_336,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 128,
  vocab_size: 32_000,
  max_position_embeddings: 32_768,
  sliding_window: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: false,
  bos_token_id: 1,
  eos_token_id: 2,
  torch_dtype: 'bfloat16',
};

/** Sides that decide the tensors' shapes. */
export type SyntheticShape = Pick<
  typeof MISTRAL,
  'hidden_size' | 'intermediate_size' | 'num_attention_heads' | 'num_key_value_heads' | 'head_dim' | 'vocab_size'
>;

type SyntheticDtype = 'BF16' | 'F16';

export interface SyntheticOptions {
  /** Six make 3.1 GB. */
  readonly blocks?: number;
  readonly seed?: number;
  /** Other sides than Mistral-7B's. */
  readonly shape?: SyntheticShape;
  /** BF16 unless given. */
  readonly dtype?: SyntheticDtype;
  /** Fraction of the values that are zero: the smallest ones, as pruning by magnitude leaves them. */
  readonly sparsity?: number;
}

/**
 * A checkpoint in the shapes of Mistral-7B, 16 bits a value, whose values are made when they are read: normal with σ = 0.02 (norm gains:
 * 1), a function of seed, tensor and position. The same options give the same bytes in whatever pieces they are read.
 */
export function syntheticMistral(options: SyntheticOptions = {}): Checkpoint {
  const { blocks = 6, seed = 1, dtype = 'BF16', sparsity = 0, shape = MISTRAL } = options;
  const infos = tensorInfos(blocks, dtype, shape);
  const values = normalQuantiles(sparsity, dtype);
  const tensors = new Map(infos.map((info) => [info.name, info]));
  return {
    path: 'synthetic-mistral',
    format: 'synthetic',
    tensors,
    aliases: new Map(),
    metadata: { format: 'pt' },
    async read(name, range) {
      const info = tensors.get(name)!;
      const { offset, length } = range ?? { offset: 0, length: info.byteLength };
      if (name.includes('norm')) return ones(length, dtype);
      // Values come in pairs, one per 32-bit hash: take whole pairs, then cut.
      const [first, last] = [Math.floor(offset / 4), Math.ceil((offset + length) / 4)];
      const key = Math.imul(seed, 0x9e37_79b9) ^ Math.imul(infos.indexOf(info), 0x85eb_ca6b);
      const pairs = randomPairs(values, { first, count: last - first, key });
      return pairs.subarray(offset - 4 * first, offset - 4 * first + length);
    },
    async close() {},
  };
}

function tensorInfos(blocks: number, dtype: SyntheticDtype, sides: SyntheticShape): TensorInfo[] {
  const { hidden_size: hidden, intermediate_size: ffn, vocab_size: vocabulary, head_dim: headDim } = sides;
  const [queries, keys] = [sides.num_attention_heads * headDim, sides.num_key_value_heads * headDim];
  const half = (name: string, ...shape: number[]): TensorInfo => ({
    name,
    dtype,
    shape,
    byteLength: 2 * shape.reduce((product, size) => product * size, 1),
  });
  const block = (prefix: string) => [
    half(`${prefix}.self_attn.q_proj.weight`, queries, hidden),
    half(`${prefix}.self_attn.k_proj.weight`, keys, hidden),
    half(`${prefix}.self_attn.v_proj.weight`, keys, hidden),
    half(`${prefix}.self_attn.o_proj.weight`, hidden, queries),
    half(`${prefix}.mlp.gate_proj.weight`, ffn, hidden),
    half(`${prefix}.mlp.up_proj.weight`, ffn, hidden),
    half(`${prefix}.mlp.down_proj.weight`, hidden, ffn),
    half(`${prefix}.input_layernorm.weight`, hidden),
    half(`${prefix}.post_attention_layernorm.weight`, hidden),
  ];
  const infos = [
    half('model.embed_tokens.weight', vocabulary, hidden),
    half('model.norm.weight', hidden),
    half('lm_head.weight', vocabulary, hidden),
    ...Array.from({ length: blocks }, (_, index) => block(`model.layers.${index}`)).flat(),
  ];
  return infos.sort((left, right) => (left.name < right.name ? -1 : 1));
}

function ones(length: number, dtype: SyntheticDtype): Uint8Array {
  return encodeFromF32(new Float32Array(length / 2).fill(1), dtype);
}

/** Codes at 65536 evenly spaced probabilities of N(0, 0.02²), the middle ones 0: 16 random bits pick one. */
function normalQuantiles(sparsity: number, dtype: SyntheticDtype): Uint16Array {
  const values = new Float32Array(65_536);
  for (let i = 0; i < values.length; i += 1) {
    const probability = (i + 0.5) / values.length;
    values[i] = Math.abs(2 * probability - 1) < sparsity ? 0 : 0.02 * normalQuantile(probability);
  }
  return new Uint16Array(encodeFromF32(values, dtype).buffer);
}

/** Winitzki's approximation of the inverse error function (2008); two digits are plenty for random weights. */
function normalQuantile(probability: number): number {
  const x = 2 * probability - 1;
  const log = Math.log(1 - x * x);
  const a = 2 / (Math.PI * 0.147) + log / 2;
  return Math.SQRT2 * Math.sign(x) * Math.sqrt(Math.sqrt(a * a - log / 0.147) - a);
}

function randomPairs(
  choices: Uint16Array,
  { first, count, key }: { readonly first: number; readonly count: number; readonly key: number },
): Uint8Array {
  const values = new Uint16Array(2 * count);
  for (let i = 0; i < count; i += 1) {
    // The finalizer of MurmurHash3: every input bit reaches every output bit.
    let hash = (first + i) ^ key;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
    hash ^= hash >>> 16;
    values[2 * i] = choices[hash & 0xffff]!;
    values[2 * i + 1] = choices[hash >>> 16]!;
  }
  return new Uint8Array(values.buffer);
}

/** Writes the checkpoint as a sharded folder with its config.json, chunk by chunk. */
export async function writeSyntheticMistral(folder: string, options: SyntheticOptions = {}): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { blocks = 6, dtype = 'BF16', shape } = options;
  const stored = dtype === 'F16' ? 'float16' : 'bfloat16';
  const config = { ...MISTRAL, ...shape, num_hidden_layers: blocks, torch_dtype: stored };
  await writeCheckpoint(syntheticMistral(options), folder, {
    maxShardBytes: 1_000_000_000,
    extraFiles: { 'config.json': `${JSON.stringify(config, undefined, 2)}\n` },
  });
}

// By its name: in a bundle every module has the bundle's own path.
if (process.argv[1]?.endsWith('synthetic-mistral.ts')) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { blocks: { type: 'string', default: '6' }, seed: { type: 'string', default: '1' } },
  });
  const [folder] = positionals;
  if (folder === undefined) throw new Error('Usage: tsx bench/synthetic-mistral.ts FOLDER [--blocks 6] [--seed 1]');
  await writeSyntheticMistral(folder, { blocks: Number(values.blocks), seed: Number(values.seed) });
}
