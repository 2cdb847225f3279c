import type { Architecture } from '../architecture.js';
import { ffnWidthOf, headsOf } from '../block-configs.js';
import { disagreement } from '../config-errors.js';
import type { ConfigValues } from '../config-schema.js';
import type { BlockShape } from '../decoder.js';
import { LLAMA_KEYS, LLAMA_LEFTOVERS, LLAMA_TENSORS, LLAMA_VECTORS, llamaLinears } from './llama.js';

/** A block by its entry in `block_configs`: key heads and FFN width of its own, or no attention, or no FFN. */
function ownBlock(config: ConfigValues, block: number, plain: BlockShape, file: string): BlockShape {
  const entries = config.block_configs ?? [];
  if (entries.length !== config.num_hidden_layers) {
    throw disagreement(file, `block_configs has ${entries.length} entries for ${config.num_hidden_layers} layers`);
  }
  const entry = entries[block]!;
  const own = headsOf(entry, config.num_attention_heads, { block, file });
  const ffn = ffnWidthOf(entry, config.hidden_size, { block, file });
  return { ...plain, ...own, attention: own.heads > 0, feedForward: ffn > 0, ffn };
}

/**
 * DeciLM (Llama-Nemotron 49B, 51B, 253B): Llama's block with sizes of its own in every block; `num_key_value_heads` and
 * `intermediate_size` of the whole are null. What shedding writes when blocks end up with different widths. Sources: NVIDIA's
 * configuration_decilm.py and modeling_decilm.py beside those weights; vLLM, model_executor/models/nemotron_nas.py.
 */
export default {
  modelType: 'nemotron-nas',
  className: 'DeciLMForCausalLM',
  keys: [...LLAMA_KEYS, 'attention_bias', 'mlp_bias', 'block_configs'],
  harmless: ['auto_map'],
  activations: ['silu'],
  defaults: { max_position_embeddings: 2048, rms_norm_eps: 1e-6, rope_theta: 10_000 },
  norm: 'rms',
  tensors: LLAMA_TENSORS,
  linears: llamaLinears({ qkv: 'attention_bias', o: 'attention_bias', ffn: 'mlp_bias' }),
  vectors: LLAMA_VECTORS,
  leftovers: LLAMA_LEFTOVERS,
  ffnWidth: () => 0,
  block: ownBlock,
} satisfies Architecture;
