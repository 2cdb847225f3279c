import { multiply, plus, rmsNorm, rowOf } from './arithmetic.js';
import { numberOf, type ReferenceForward, type ReferenceModel, tensorOf } from './definition.js';
import { gatedMlp, selfAttention } from './llama.js';

/**
 * Qwen2 and Qwen2.5: Llama's block with biases on q, k and v, and a window on the blocks from `max_window_layers` on where
 * `use_sliding_window` says so. Sources: transformers, models/qwen2/{configuration,modeling}_qwen2.py.
 */
export const qwen2: ReferenceForward = (model, ids) => {
  const { config } = model;
  const epsilon = numberOf(config, 'rms_norm_eps', 1e-6);
  const embedding = tensorOf(model, 'model.embed_tokens.weight');
  let hidden = Array.from(ids, (id) => rowOf(embedding, id));
  for (let layer = 0; layer < numberOf(config, 'num_hidden_layers'); layer++) {
    const prefix = `model.layers.${layer}`;
    const before = tensorOf(model, `${prefix}.input_layernorm.weight`);
    const inputs = hidden.map((x) => rmsNorm(x, before, epsilon));
    const mixed = selfAttention(model, `${prefix}.self_attn`, inputs, windowOf(config, layer));
    hidden = hidden.map((x, t) => plus(x, mixed[t]!));
    const between = tensorOf(model, `${prefix}.post_attention_layernorm.weight`);
    hidden = hidden.map((x) => plus(x, gatedMlp(model, `${prefix}.mlp`, rmsNorm(x, between, epsilon))));
  }
  const head = tensorOf(model, 'lm_head.weight', 'model.embed_tokens.weight');
  const last = tensorOf(model, 'model.norm.weight');
  return hidden.map((x) => multiply(head, rmsNorm(x, last, epsilon)));
};

/** The window of a block, as Qwen2Config and Qwen3Config make `layer_types` where it is not given. */
export function windowOf(config: ReferenceModel['config'], layer: number): number | undefined {
  if (config['use_sliding_window'] !== true || config['sliding_window'] == null) return undefined;
  const types = config['layer_types'] as string[] | null | undefined;
  const slides =
    types == null ? layer >= numberOf(config, 'max_window_layers', 28) : types[layer] === 'sliding_attention';
  return slides ? numberOf(config, 'sliding_window') : undefined;
}
