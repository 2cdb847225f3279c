import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ReferenceConfig, ReferenceModel, ReferenceTensor } from './float64-decoder.js';

/** A config.json of the tests: what the oracle reads and whatever else a real one holds. */
export type TinyConfig = ReferenceConfig & Readonly<Record<string, unknown>>;

/**
 * A random model in memory; every value is exactly a float32, so the oracle and the checkpoint hold the same numbers.
 */
export interface TinyModel extends ReferenceModel {
  readonly config: TinyConfig;
  readonly tensors: ReadonlyMap<string, ReferenceTensor>;
}

export const TINY_LLAMA: TinyConfig = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 61,
  hidden_size: 32,
  intermediate_size: 44,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  hidden_act: 'silu',
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: false,
  attention_bias: false,
  mlp_bias: false,
};

/** Returns the same random model for the same config and seed. Biases as `attention_bias` and `mlp_bias` say. */
export function tinyModel(config: TinyConfig, seed = 1): TinyModel {
  const tensors = new Map<string, ReferenceTensor>();
  const random = gaussian(seed);
  const fill = (name: string, shape: number[], scale: number, centre = 0) => {
    const length = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length }, () => centre + scale * random());
    tensors.set(name, { shape, values });
  };
  const linear = (name: string, rows: number, columns: number, bias: unknown) => {
    fill(`${name}.weight`, [rows, columns], 1.5 / Math.sqrt(columns));
    if (bias === true) fill(`${name}.bias`, [rows], 0.5);
  };
  const { hidden_size: hidden, intermediate_size: ffn, vocab_size: vocabulary, num_attention_heads: heads } = config;
  const headDim = config.head_dim ?? hidden / heads;
  const keys = (config.num_key_value_heads ?? heads) * headDim;
  fill('model.embed_tokens.weight', [vocabulary, hidden], 1);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const prefix = `model.layers.${layer}`;
    fill(`${prefix}.input_layernorm.weight`, [hidden], 0.2, 1);
    linear(`${prefix}.self_attn.q_proj`, heads * headDim, hidden, config['attention_bias']);
    linear(`${prefix}.self_attn.k_proj`, keys, hidden, config['attention_bias']);
    linear(`${prefix}.self_attn.v_proj`, keys, hidden, config['attention_bias']);
    linear(`${prefix}.self_attn.o_proj`, hidden, heads * headDim, config['attention_bias']);
    fill(`${prefix}.post_attention_layernorm.weight`, [hidden], 0.2, 1);
    linear(`${prefix}.mlp.gate_proj`, ffn, hidden, config['mlp_bias']);
    linear(`${prefix}.mlp.up_proj`, ffn, hidden, config['mlp_bias']);
    linear(`${prefix}.mlp.down_proj`, hidden, ffn, config['mlp_bias']);
  }
  fill('model.norm.weight', [hidden], 0.2, 1);
  if (config['tie_word_embeddings'] !== true) fill('lm_head.weight', [vocabulary, hidden], 1 / Math.sqrt(hidden));
  return { config, tensors, tensor: (name) => tensors.get(name) };
}

/** Writes config.json and model.safetensors (F32) into a new temporary folder, or into `folder`, and returns it. */
export function writeTinyModel(
  model: Pick<TinyModel, 'config' | 'tensors'>,
  folder = mkdtempSync(path.join(tmpdir(), 'birdbone-tiny-')),
  metadata: Record<string, string> = { format: 'pt' },
): string {
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(model.config));
  const header: Record<string, unknown> = { __metadata__: metadata };
  const parts: Buffer[] = [];
  let offset = 0;
  for (const [name, { shape, values }] of model.tensors) {
    const bytes = Buffer.from(Float32Array.from(values).buffer);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    parts.push(bytes);
  }
  const json = JSON.stringify(header);
  const padded = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(padded.length));
  writeFileSync(path.join(folder, 'model.safetensors'), Buffer.concat([size, padded, ...parts]));
  return folder;
}

/** Uniform numbers in [0, 1) from a 32-bit seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal numbers from a seed (Box–Muller). */
function gaussian(seed: number): () => number {
  const next = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
