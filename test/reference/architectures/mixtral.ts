import { multiply, plus, project, rmsNorm, rowOf, silu, times } from './arithmetic.js';
import { softmax } from './attention.js';
import { numberOf, type ReferenceForward, type ReferenceModel, tensorOf } from './definition.js';
import { selfAttention } from './llama.js';

/**
 * Mixtral: Mistral's attention, and for each token the `num_experts_per_tok` likeliest of the experts, mixed by their share of
 * the probability. Sources: transformers, models/mixtral/{configuration,modeling}_mixtral.py; Jiang et al. 2024.
 */
export const mixtral: ReferenceForward = (model, ids) => {
  const { config } = model;
  const epsilon = numberOf(config, 'rms_norm_eps', 1e-5);
  const window = (config['sliding_window'] as number | null | undefined) ?? undefined;
  const embedding = tensorOf(model, 'model.embed_tokens.weight');
  let hidden = Array.from(ids, (id) => rowOf(embedding, id));
  for (let layer = 0; layer < numberOf(config, 'num_hidden_layers'); layer++) {
    const prefix = `model.layers.${layer}`;
    const before = tensorOf(model, `${prefix}.input_layernorm.weight`);
    const inputs = hidden.map((x) => rmsNorm(x, before, epsilon));
    const mixed = selfAttention(model, `${prefix}.self_attn`, inputs, window);
    hidden = hidden.map((x, t) => plus(x, mixed[t]!));
    const between = tensorOf(model, `${prefix}.post_attention_layernorm.weight`);
    hidden = hidden.map((x) => plus(x, experts(model, `${prefix}.block_sparse_moe`, rmsNorm(x, between, epsilon))));
  }
  const head = tensorOf(model, 'lm_head.weight', 'model.embed_tokens.weight');
  const last = tensorOf(model, 'model.norm.weight');
  return hidden.map((x) => multiply(head, rmsNorm(x, last, epsilon)));
};

function experts(model: ReferenceModel, prefix: string, x: Float64Array): Float64Array {
  let mixed: Float64Array = new Float64Array(x.length);
  for (const { expert, share } of routed(model, prefix, x)) {
    const gate = project(model, `${prefix}.experts.${expert}.w1`, x).map(silu);
    const inner = times(gate, project(model, `${prefix}.experts.${expert}.w3`, x));
    const output = project(model, `${prefix}.experts.${expert}.w2`, inner);
    mixed = mixed.map((value, i) => value + share * output[i]!);
  }
  return mixed;
}

/** The experts that see a token, likeliest first, and their shares, which add up to one. */
export function routed(model: ReferenceModel, prefix: string, x: Float64Array): { expert: number; share: number }[] {
  const probabilities = softmax([...project(model, `${prefix}.gate`, x)]);
  const ranked = probabilities.map((share, expert) => ({ expert, share })).sort((a, b) => b.share - a.share);
  const chosen = ranked.slice(0, numberOf(model.config, 'num_experts_per_tok', 2));
  const total = chosen.reduce((sum, { share }) => sum + share, 0);
  return chosen.map(({ expert, share }) => ({ expert, share: share / total }));
}
