import { readdir } from 'node:fs/promises';
import type { GgufMetadata, JsonObject } from '../checkpoint/index.js';

/** Keys of config.json that a GGUF says in its own words. */
const CARRIED_CONFIG = new Set([
  ...['architectures', 'attention_bias', 'bos_token_id', 'eos_token_id', 'head_dim', 'hidden_act', 'hidden_size'],
  ...['intermediate_size', 'max_position_embeddings', 'mlp_bias', 'model_type', 'num_attention_heads'],
  ...['num_hidden_layers', 'num_key_value_heads', 'rms_norm_eps', 'rope_parameters', 'rope_scaling', 'rope_theta'],
  ...['sliding_window', 'tie_word_embeddings', 'torch_dtype', 'dtype', 'vocab_size', '_name_or_path'],
  // Windows and rotary embedding of Qwen, Gemma and Phi-3.
  ...['use_sliding_window', 'max_window_layers', 'layer_types', 'sliding_window_pattern', 'rope_local_base_freq'],
  ...['partial_rotary_factor', 'original_max_position_embeddings'],
  // Gemma's scales and activation, Mixtral's experts.
  ...['hidden_activation', 'query_pre_attn_scalar', 'attn_logit_softcapping', 'final_logit_softcapping'],
  ...['num_local_experts', 'num_experts_per_tok'],
  // GPT-2 and GPT-NeoX.
  ...['activation_function', 'layer_norm_epsilon', 'n_ctx', 'n_embd', 'n_head', 'n_inner', 'n_layer', 'n_positions'],
  ...['layer_norm_eps', 'rotary_emb_base', 'rotary_pct', 'use_parallel_residual'],
  ...['scale_attn_weights', 'scale_attn_by_inverse_layer_idx'],
]);
const CARRIED_TOKENIZER_CONFIG = new Set([
  ...['add_bos_token', 'add_eos_token', 'added_tokens_decoder', 'bos_token', 'eos_token', 'unk_token', 'pad_token'],
  ...['chat_template', 'tokenizer_class', 'add_prefix_space'],
]);
/** Metadata of a GGUF that a folder says in its own words. */
const CARRIED_METADATA = new Set([
  ...['general.architecture', 'general.name', 'general.file_type', 'general.alignment', 'general.quantization_version'],
  ...['tokenizer.chat_template', 'tokenizer.ggml.pre', 'tokenizer.ggml.model', 'tokenizer.ggml.tokens'],
  ...['tokenizer.ggml.token_type', 'tokenizer.ggml.scores', 'tokenizer.ggml.merges'],
  ...['bos', 'eos', 'unknown', 'padding'].map((role) => `tokenizer.ggml.${role}_token_id`),
  ...['add_bos_token', 'add_eos_token', 'add_space_prefix'].map((flag) => `tokenizer.ggml.${flag}`),
]);
const FILES_READ = new Set(['config.json', 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja']);
const WEIGHTS = /\.(?:safetensors|bin|pt|pth|th|ckpt|gguf|h5|msgpack|onnx)(?:\.index\.json)?$/;

/** What config.json says and a GGUF has no place for, in a sentence; nothing where it says no more. */
export function lostConfig(config: JsonObject): string[] {
  return sentence('config.json', config, CARRIED_CONFIG);
}

export function lostTokenizerConfig(config: JsonObject): string[] {
  return sentence('tokenizer_config.json', config, CARRIED_TOKENIZER_CONFIG);
}

function sentence(file: string, values: JsonObject, carried: ReadonlySet<string>): string[] {
  const left = Object.entries(values).filter(([key, value]) => value !== null && !carried.has(key));
  if (left.length === 0) return [];
  const shown = left.map(([key, value]) => `${key} ${JSON.stringify(value).slice(0, 40)}`).join(', ');
  return [`${file} says what GGUF has no place for: ${shown}.`];
}

/** What a GGUF's metadata say and a folder with these files does not. */
export function lostMetadata(metadata: GgufMetadata, files: ReadonlyMap<string, string>): string[] {
  const architecture = metadata.get('general.architecture');
  const prefix = architecture?.type === 'string' ? `${architecture.value}.` : undefined;
  const left = [...metadata.keys()].filter(
    (key) =>
      !CARRIED_METADATA.has(key) &&
      !(prefix !== undefined && key.startsWith(prefix)) &&
      !(key === 'general.license' && files.has('README.md')),
  );
  return left.length === 0 ? [] : [`Metadata that a folder has no place for: ${left.join(', ')}.`];
}

/** Files of a folder that do not go into a GGUF. */
export async function lostFiles(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(
    (name) => !name.startsWith('.') && !FILES_READ.has(name) && !WEIGHTS.test(name),
  );
  return names.length === 0 ? [] : [`Files that do not go into a GGUF: ${names.sort().join(', ')}.`];
}
