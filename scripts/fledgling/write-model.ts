import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SafetensorsWriter } from '../../src/checkpoint/index.js';
import { encodeFromF32 } from '../../src/tensor/index.js';
import type { Architecture, Parameter } from './architecture.js';
import { SPECIAL_TOKENS, tokenizerConfig, tokenizerJson } from './tokenizer-files.js';
import type { Vocabulary } from './train-tokenizer.js';

/** The contents of config.json, as transformers writes it for `LlamaForCausalLM`. */
export function modelConfig(architecture: Architecture): object {
  return {
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: 0,
    eos_token_id: 0,
    head_dim: architecture.hidden / architecture.heads,
    hidden_act: 'silu',
    hidden_size: architecture.hidden,
    initializer_range: 0.02,
    intermediate_size: architecture.ffn,
    max_position_embeddings: architecture.context,
    mlp_bias: false,
    model_type: 'llama',
    num_attention_heads: architecture.heads,
    num_hidden_layers: architecture.layers,
    num_key_value_heads: architecture.kvHeads,
    pretraining_tp: 1,
    rms_norm_eps: architecture.normEpsilon,
    rope_scaling: null,
    rope_theta: architecture.ropeTheta,
    tie_word_embeddings: false,
    torch_dtype: 'bfloat16',
    use_cache: true,
    vocab_size: architecture.vocabulary,
  };
}

/** Writes the weights as bf16, rounded to nearest even, and the configuration and tokenizer of a Hugging Face model folder. */
export async function writeModel(
  folder: string,
  model: { architecture: Architecture; parameters: readonly Parameter[]; vocabulary: Vocabulary },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeWeights(path.join(folder, 'model.safetensors'), model.parameters);
  const files: Record<string, object> = {
    'config.json': modelConfig(model.architecture),
    'generation_config.json': { bos_token_id: 0, eos_token_id: 0 },
    'special_tokens_map.json': SPECIAL_TOKENS,
    'tokenizer.json': tokenizerJson(model.vocabulary),
    'tokenizer_config.json': tokenizerConfig(model.architecture.context),
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder, name), `${JSON.stringify(content, undefined, 2)}\n`);
  }
}

async function writeWeights(file: string, parameters: readonly Parameter[]): Promise<void> {
  const infos = parameters.map(({ name, shape, values }) => ({
    name,
    dtype: 'BF16' as const,
    shape,
    byteLength: 2 * values.length,
  }));
  // What transformers insists on: whose tensors these are.
  const writer = await SafetensorsWriter.create(file, infos, { format: 'pt' });
  try {
    for (const { name, values } of parameters) await writer.write(name, 0, encodeFromF32(values, 'BF16'));
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
