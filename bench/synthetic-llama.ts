import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SafetensorsWriter } from '../src/checkpoint/index.js';
import { seededRandom } from '../src/random.js';
import { encodeFromF32 } from '../src/tensor/index.js';

const fledgling = (name: string) => fileURLToPath(new URL(`../models/fledgling/${name}`, import.meta.url));

export interface LlamaShape {
  readonly hidden: number;
  readonly layers: number;
  readonly ffn: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

export interface LlamaOptions {
  /** F16 unless given. */
  readonly dtype?: 'F16' | 'BF16';
  /** Rows of embedding and head; as many as the tokenizer has tokens unless given. */
  readonly vocabulary?: number;
  /** The shipped model's own unless given. */
  readonly maxContext?: number;
}

/** A Llama of any size with random weights and the shipped model's tokenizer; returns its folder. */
export async function writeSyntheticLlama(
  folder: string,
  shape: LlamaShape,
  { dtype = 'F16', ...options }: LlamaOptions = {},
): Promise<string> {
  await mkdir(folder);
  const own = JSON.parse(await readFile(fledgling('config.json'), 'utf8')) as Record<string, unknown>;
  const vocabulary = options.vocabulary ?? Number(own['vocab_size']);
  const { hidden, layers, ffn, heads, kvHeads, headDim } = shape;
  const config = {
    ...own,
    hidden_size: hidden,
    num_hidden_layers: layers,
    intermediate_size: ffn,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    vocab_size: vocabulary,
    max_position_embeddings: options.maxContext ?? own['max_position_embeddings'],
    torch_dtype: dtype === 'F16' ? 'float16' : 'bfloat16',
  };
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    await copyFile(fledgling(name), path.join(folder, name));
  const shapes: [string, number[]][] = [
    ['model.embed_tokens.weight', [vocabulary, hidden]],
    ['model.norm.weight', [hidden]],
    ...(own['tie_word_embeddings'] === true ? [] : [['lm_head.weight', [vocabulary, hidden]] as [string, number[]]]),
    ...Array.from({ length: layers }, (_, block) => blockShapes(`model.layers.${block}`, shape)).flat(),
  ];
  const infos = shapes.map(([name, shape]) => {
    return { name, dtype, shape, byteLength: 2 * shape.reduce((product, size) => product * size, 1) };
  });
  const writer = await SafetensorsWriter.create(path.join(folder, 'model.safetensors'), infos, { format: 'pt' });
  const random = seededRandom(1);
  for (const { name, byteLength, shape } of infos) {
    const values = Float32Array.from({ length: byteLength / 2 }, () => {
      return shape.length === 1 ? 1 : 0.04 * (random.bits() / 2 ** 32 - 0.5);
    });
    await writer.write(name, 0, encodeFromF32(values, dtype));
  }
  await writer.commit();
  return folder;
}

function blockShapes(prefix: string, shape: LlamaShape): [string, number[]][] {
  const { hidden, ffn, heads, kvHeads, headDim } = shape;
  return [
    [`${prefix}.input_layernorm.weight`, [hidden]],
    [`${prefix}.self_attn.q_proj.weight`, [heads * headDim, hidden]],
    [`${prefix}.self_attn.k_proj.weight`, [kvHeads * headDim, hidden]],
    [`${prefix}.self_attn.v_proj.weight`, [kvHeads * headDim, hidden]],
    [`${prefix}.self_attn.o_proj.weight`, [hidden, heads * headDim]],
    [`${prefix}.post_attention_layernorm.weight`, [hidden]],
    [`${prefix}.mlp.gate_proj.weight`, [ffn, hidden]],
    [`${prefix}.mlp.up_proj.weight`, [ffn, hidden]],
    [`${prefix}.mlp.down_proj.weight`, [hidden, ffn]],
  ];
}
