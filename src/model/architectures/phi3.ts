import type { Architecture } from '../architecture.js';
import type { BlockShape, LinearSegment } from '../decoder.js';
import { LLAMA_KEYS, LLAMA_LEFTOVERS, LLAMA_TENSORS, LLAMA_VECTORS } from './llama.js';

/** q, k and v one after the other. */
function attentionSegments({ heads, kvHeads, headDim }: BlockShape): LinearSegment[] {
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  return [
    { role: 'q', start: 0, rows: queries },
    { role: 'k', start: queries, rows: keys },
    { role: 'v', start: queries + keys, rows: keys },
  ];
}

function ffnSegments({ ffn }: BlockShape): LinearSegment[] {
  return [
    { role: 'gate', start: 0, rows: ffn },
    { role: 'up', start: ffn, rows: ffn },
  ];
}

/**
 * Phi-3, 3.5 and 4 (the dense text models): q, k and v in one weight, gate and up in another, and LongRoPE. The code that
 * Microsoft ships beside its weights (`auto_map`) is what transformers took over. Source: transformers,
 * models/phi3/{configuration,modeling}_phi3.py.
 */
export default {
  modelType: 'phi3',
  className: 'Phi3ForCausalLM',
  keys: [...LLAMA_KEYS, 'sliding_window', 'partial_rotary_factor', 'original_max_position_embeddings'],
  harmless: ['auto_map'],
  activations: ['silu'],
  defaults: { max_position_embeddings: 4096, rms_norm_eps: 1e-5, rope_theta: 10_000 },
  ropeKinds: ['default', 'longrope'],
  norm: 'rms',
  tensors: LLAMA_TENSORS,
  linears: [
    { role: 'qkv', name: 'model.layers.{i}.self_attn.qkv_proj', segments: attentionSegments },
    { role: 'o', name: 'model.layers.{i}.self_attn.o_proj' },
    { role: 'gate-up', name: 'model.layers.{i}.mlp.gate_up_proj', segments: ffnSegments },
    { role: 'down', name: 'model.layers.{i}.mlp.down_proj' },
  ],
  vectors: LLAMA_VECTORS,
  leftovers: LLAMA_LEFTOVERS,
  slides: () => true,
} satisfies Architecture;
