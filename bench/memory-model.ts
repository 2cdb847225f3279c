import { copyFile, mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TensorInfo } from '../src/checkpoint/index.js';
import { makeSafetensorsHeader } from '../src/checkpoint/safetensors/plan.js';
import { seededRandom } from '../src/random.js';
import { encodeFromF32 } from '../src/tensor/index.js';

const fledgling = (name: string) => fileURLToPath(new URL(`../models/fledgling/${name}`, import.meta.url));

/** The shapes of a model in Mistral's form. */
export interface MistralShape {
  readonly hidden: number;
  readonly ffn: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
  readonly blocks: number;
}

/** Mistral-7B-v0.1: 14.5 GB in bf16. */
export const MISTRAL_7B: MistralShape = {
  hidden: 4096,
  ffn: 14_336,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
  vocabulary: 32_000,
  blocks: 32,
};

/** A model of that many blocks, a sixteenth as large as Mistral-7B's in each matrix. */
export function quarterWidth(blocks: number): MistralShape {
  return { hidden: 1024, ffn: 3584, heads: 8, kvHeads: 2, headDim: 128, vocabulary: 8000, blocks };
}

/** Random values that are repeated: memory and disk see no difference, and they are written at the disk's speed. */
const POOL_VALUES = 2 ** 22;
/** A prime number of values: tensors begin at different places of the pool. */
const STRIDE = 1_000_003;

/**
 * Writes such a model in bf16 as a folder, with the shipped model's tokenizer, and returns the folder. The blocks from `realBlocks` on
 * are holes of a sparse file, which read as zeros and take no disk; so is the head where there are such blocks.
 */
export async function writeMemoryModel(
  folder: string,
  shape: MistralShape,
  { realBlocks = shape.blocks }: { readonly realBlocks?: number } = {},
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const infos = infosOf(shape);
  const isHole = (name: string) => {
    const block = /^model\.layers\.(\d+)\./.exec(name)?.[1];
    return block === undefined ? realBlocks < shape.blocks && name === 'lm_head.weight' : Number(block) >= realBlocks;
  };
  const file = path.join(folder, 'model.safetensors');
  const { header, tensors, fileBytes } = makeSafetensorsHeader(file, infos, { format: 'pt' });
  const pool = randomPool();
  const handle = await open(file, 'w');
  try {
    await handle.write(header, 0, header.length, 0);
    await handle.truncate(fileBytes);
    for (const [index, info] of infos.entries()) {
      if (isHole(info.name)) continue;
      await writeTensor(handle, info, { start: tensors.get(info.name)!.start, pool, from: 2 * STRIDE * index });
    }
  } finally {
    await handle.close();
  }
  await writeFile(path.join(folder, 'config.json'), `${JSON.stringify(configOf(shape), undefined, 2)}\n`);
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    await copyFile(fledgling(name), path.join(folder, name));
  return folder;
}

/** Sums of two uniform numbers in bf16: bell-shaped enough, with σ = 0.02. */
function randomPool(): Uint8Array {
  const random = seededRandom(1);
  const values = Float32Array.from({ length: POOL_VALUES }, () => {
    return 0.049 * ((random.bits() + random.bits()) / 2 ** 32 - 1);
  });
  return encodeFromF32(values, 'BF16');
}

async function writeTensor(
  handle: Awaited<ReturnType<typeof open>>,
  { name, byteLength }: TensorInfo,
  { start, pool, from }: { readonly start: number; readonly pool: Uint8Array; readonly from: number },
): Promise<void> {
  // bf16 1 is 0x3f80.
  const ones = name.includes('norm') ? new Uint8Array(new Uint16Array(byteLength / 2).fill(0x3f80).buffer) : undefined;
  for (let done = 0, at = from % pool.length; done < byteLength; at = 0) {
    const part = ones ?? pool.subarray(at, at + byteLength - done);
    await handle.write(part, 0, part.length, start + done);
    done += part.length;
  }
}

function infosOf(shape: MistralShape): TensorInfo[] {
  const { hidden, ffn, heads, kvHeads, headDim, vocabulary, blocks } = shape;
  const bf16 = (name: string, ...extents: number[]): TensorInfo => ({
    name,
    dtype: 'BF16',
    shape: extents,
    byteLength: 2 * extents.reduce((product, extent) => product * extent, 1),
  });
  const block = (prefix: string) => [
    bf16(`${prefix}.input_layernorm.weight`, hidden),
    bf16(`${prefix}.self_attn.q_proj.weight`, heads * headDim, hidden),
    bf16(`${prefix}.self_attn.k_proj.weight`, kvHeads * headDim, hidden),
    bf16(`${prefix}.self_attn.v_proj.weight`, kvHeads * headDim, hidden),
    bf16(`${prefix}.self_attn.o_proj.weight`, hidden, heads * headDim),
    bf16(`${prefix}.post_attention_layernorm.weight`, hidden),
    bf16(`${prefix}.mlp.gate_proj.weight`, ffn, hidden),
    bf16(`${prefix}.mlp.up_proj.weight`, ffn, hidden),
    bf16(`${prefix}.mlp.down_proj.weight`, hidden, ffn),
  ];
  const infos = [
    bf16('model.embed_tokens.weight', vocabulary, hidden),
    ...Array.from({ length: blocks }, (_, index) => block(`model.layers.${index}`)).flat(),
    bf16('model.norm.weight', hidden),
    bf16('lm_head.weight', vocabulary, hidden),
  ];
  return infos.sort((left, right) => (left.name < right.name ? -1 : 1));
}

function configOf(shape: MistralShape): object {
  return {
    architectures: ['MistralForCausalLM'],
    model_type: 'mistral',
    hidden_act: 'silu',
    hidden_size: shape.hidden,
    intermediate_size: shape.ffn,
    num_hidden_layers: shape.blocks,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    head_dim: shape.headDim,
    vocab_size: shape.vocabulary,
    max_position_embeddings: 32_768,
    sliding_window: 4096,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    torch_dtype: 'bfloat16',
  };
}
