import { multiply, plus, rmsNorm, rowOf } from './arithmetic.js';
import { numberOf, type ReferenceForward, tensorOf } from './definition.js';
import { gatedMlp, selfAttention } from './llama.js';

/**
 * Mistral 7B: Llama's block under a window. A config without `sliding_window` slides 4096, one with null does not.
 * Sources: transformers, models/mistral/{configuration,modeling}_mistral.py; Jiang et al. 2023.
 */
export const mistral: ReferenceForward = (model, ids) => {
  const { config } = model;
  const epsilon = numberOf(config, 'rms_norm_eps', 1e-6);
  const window = config['sliding_window'] === null ? undefined : numberOf(config, 'sliding_window', 4096);
  const embedding = tensorOf(model, 'model.embed_tokens.weight');
  let hidden = Array.from(ids, (id) => rowOf(embedding, id));
  for (let layer = 0; layer < numberOf(config, 'num_hidden_layers'); layer++) {
    const prefix = `model.layers.${layer}`;
    const before = tensorOf(model, `${prefix}.input_layernorm.weight`);
    const inputs = hidden.map((x) => rmsNorm(x, before, epsilon));
    const mixed = selfAttention(model, `${prefix}.self_attn`, inputs, window);
    hidden = hidden.map((x, t) => plus(x, mixed[t]!));
    const between = tensorOf(model, `${prefix}.post_attention_layernorm.weight`);
    hidden = hidden.map((x) => plus(x, gatedMlp(model, `${prefix}.mlp`, rmsNorm(x, between, epsilon))));
  }
  const head = tensorOf(model, 'lm_head.weight', 'model.embed_tokens.weight');
  const last = tensorOf(model, 'model.norm.weight');
  return hidden.map((x) => multiply(head, rmsNorm(x, last, epsilon)));
};
