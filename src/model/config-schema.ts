import { z } from 'zod';
import { blockConfigs } from './block-configs.js';
import { ropeObject, ropeParameters } from './rope-config.js';

/**
 * An integer from 1 to `max`: the limits are far above any model that exists, so that nothing is sized by a hostile
 * number.
 */
const count = (max: number) => z.int().min(1).max(max);
const tokenId = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);
/** No model has more blocks. */
export const MAX_BLOCKS = 4096;
const scale = z.number().positive().max(1e12);

/** Every key that some architecture reads, under its common name. */
export const configSchema = z.looseObject({
  model_type: z.string(),
  architectures: z.array(z.string()).nullish(),
  vocab_size: count(2 ** 24),
  hidden_size: count(2 ** 20),
  intermediate_size: count(2 ** 22).nullish(),
  num_hidden_layers: count(MAX_BLOCKS),
  num_attention_heads: count(2 ** 14),
  hidden_act: z.string().nullish(),
  num_key_value_heads: count(2 ** 14).nullish(),
  head_dim: count(2 ** 14).nullish(),
  max_position_embeddings: count(2 ** 31 - 1).nullish(),
  rms_norm_eps: z.number().positive().max(1).nullish(),
  rope_theta: scale.nullish(),
  rope_scaling: ropeObject.nullish(),
  rope_parameters: ropeParameters.nullish(),
  rope_local_base_freq: scale.nullish(),
  original_max_position_embeddings: count(2 ** 31 - 1).nullish(),
  partial_rotary_factor: z.number().positive().max(1).nullish(),
  sliding_window: count(2 ** 31 - 1).nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.int().min(0).max(MAX_BLOCKS).nullish(),
  sliding_window_pattern: count(MAX_BLOCKS).nullish(),
  layer_types: z.array(z.string()).max(MAX_BLOCKS).nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  query_pre_attn_scalar: scale.nullish(),
  attn_logit_softcapping: scale.nullish(),
  final_logit_softcapping: scale.nullish(),
  use_parallel_residual: z.boolean().nullish(),
  scale_attn_weights: z.boolean().nullish(),
  scale_attn_by_inverse_layer_idx: z.boolean().nullish(),
  block_configs: blockConfigs.max(MAX_BLOCKS).nullish(),
  num_local_experts: count(2 ** 12).nullish(),
  num_experts_per_tok: count(2 ** 12).nullish(),
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId).max(1024)]).nullish(),
});

/** A checked config.json under the common names, with the architecture's defaults for the keys it leaves out. */
export type ConfigValues = z.infer<typeof configSchema>;

type KnownKey<Key> = string extends Key ? never : Key;
export type ConfigKey = keyof { [Key in keyof ConfigValues as KnownKey<Key>]: unknown } & string;

/** What every architecture reads. */
export const COMMON_KEYS: readonly ConfigKey[] = [
  'model_type',
  'architectures',
  'vocab_size',
  'hidden_size',
  'intermediate_size',
  'num_hidden_layers',
  'num_attention_heads',
  'hidden_act',
  'max_position_embeddings',
  'rms_norm_eps',
  'layer_types',
  'tie_word_embeddings',
  'bos_token_id',
  'eos_token_id',
];
