import type { JsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { Architecture } from './architecture.js';
import { shorten, unsupportedValue } from './config-errors.js';
import { COMMON_KEYS, type ConfigKey } from './config-schema.js';

/** Keys that leave what the model computes in evaluation as it is: training, generation, bookkeeping, speed. */
const HARMLESS = new Set([
  ...['_attn_implementation_autoset', '_name_or_path', 'dtype', 'name_or_path', 'torch_dtype', 'transformers_version'],
  ...['attention_dropout', 'attention_probs_dropout_prob', 'hidden_dropout', 'initializer_range', 'resid_pdrop'],
  ...['attn_pdrop', 'embd_pdrop', 'cache_implementation'],
  ...[
    'gradient_checkpointing',
    'use_cache',
    'pretraining_tp',
    'torchscript',
    'use_bfloat16',
    'chunk_size_feed_forward',
  ],
  ...['output_attentions', 'output_hidden_states', 'return_dict', 'return_dict_in_generate', 'output_scores'],
  ...['pad_token_id', 'sep_token_id', 'decoder_start_token_id', 'forced_bos_token_id', 'forced_eos_token_id'],
  ...['unk_token_id', 'cls_token_id', 'mask_token_id', 'prefix', 'tokenizer_class', 'problem_type', 'finetuning_task'],
  ...['task_specific_params', 'id2label', 'label2id', 'num_labels', 'license', 'transformers.js_config'],
  ...['temperature', 'top_k', 'top_p', 'typical_p', 'repetition_penalty', 'length_penalty', 'no_repeat_ngram_size'],
  ...['encoder_no_repeat_ngram_size', 'bad_words_ids', 'suppress_tokens', 'begin_suppress_tokens', 'do_sample'],
  ...['early_stopping', 'max_length', 'min_length', 'num_beams', 'num_beam_groups', 'diversity_penalty'],
  ...['num_return_sequences', 'exponential_decay_length_penalty', 'remove_invalid_values', 'tie_encoder_decoder'],
  ...['is_decoder', 'is_llama_config', 'max_sequence_length', 'max_seq_len', 'model_max_length', 'seq_length'],
  ...['_attn_implementation', 'attn_implementation', 'use_flash_attn', '_flash_attn_2_enabled', 'tf_legacy_loss'],
  ...['unsloth_version', 'unsloth_fixed', 'unsloth_training_name'],
]);

/** Keys that could change what the model computes, and the only values (besides null) under which they do not. */
const ALLOWED: Readonly<Record<string, readonly unknown[]>> = {
  partial_rotary_factor: [1],
  rope_interleaved: [false],
  use_sliding_window: [false],
  sliding_window: [],
  attention_bias: [false],
  mlp_bias: [false],
  attn_logit_softcapping: [],
  final_logit_softcapping: [],
  quantization_config: [],
  compression_config: [],
  auto_map: [],
  num_local_experts: [],
  num_experts: [],
  num_experts_per_tok: [],
  is_encoder_decoder: [false],
  add_cross_attention: [false],
  cross_attention_hidden_size: [],
  pruned_heads: [{}],
  use_qk_norm: [false],
};

/**
 * Refuses (`unsupported`) a config that asks for what the forward pass does not do. A key is one of `read`, or known
 * not to matter, or known to matter and at a value that changes nothing; null counts as absent, as it does in
 * transformers. Any other key is refused by name too: it may change what the model computes, and a wrong figure is
 * worse than a refusal.
 */
export function refuseUnsupportedKeys(config: JsonObject, architecture: Architecture, file: string): void {
  const read = new Set([...COMMON_KEYS, ...architecture.keys].map((key) => spelled(key, architecture)));
  const harmless = new Set(architecture.harmless);
  for (const [key, value] of Object.entries(config)) {
    if (value === null || read.has(key) || HARMLESS.has(key) || harmless.has(key)) continue;
    const allowed = allowedValues(key, architecture);
    if (allowed === undefined) throw unknownKey(file, key, value);
    if (!allowed.some((candidate) => JSON.stringify(candidate) === JSON.stringify(value))) {
      throw unsupportedValue(file, key, value, allowed);
    }
  }
}

/** What the architecture's own config.json calls a key. */
export function spelled(key: ConfigKey, { spellings }: Architecture): string {
  return spellings?.[key] ?? key;
}

function allowedValues(key: string, { allowed }: Architecture): readonly unknown[] | undefined {
  if (allowed !== undefined && Object.hasOwn(allowed, key)) return allowed[key];
  return Object.hasOwn(ALLOWED, key) ? ALLOWED[key] : undefined;
}

function unknownKey(file: string, key: string, value: unknown): BirdboneError {
  return new BirdboneError(
    'unsupported',
    `${file} has the key ${shorten(key)} = ${shorten(value)}, which birdbone does not know; ` +
      'it may change what the model computes.',
    { file, suggestions: [`Delete the key from ${file} if you know that it does not change the model's output.`] },
  );
}
