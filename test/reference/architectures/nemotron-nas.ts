import { multiply, plus, rmsNorm, rowOf } from './arithmetic.js';
import { numberOf, type ReferenceForward, tensorOf } from './definition.js';
import { gatedMlp, selfAttention } from './llama.js';

interface BlockConfig {
  readonly attention: { readonly no_op?: boolean; readonly n_heads_in_group?: number | null };
  readonly ffn: { readonly no_op?: boolean };
}

/**
 * DeciLM (`nemotron-nas`): Llama's block, with key heads and an FFN width of its own in each, or without attention or FFN; a
 * half that is left out has no norm either. Sources: NVIDIA's modeling_decilm.py beside its checkpoints, and vLLM,
 * model_executor/models/nemotron_nas.py.
 */
export const nemotronNas: ReferenceForward = (model, ids) => {
  const { config } = model;
  const epsilon = numberOf(config, 'rms_norm_eps', 1e-6);
  const heads = numberOf(config, 'num_attention_heads');
  const embedding = tensorOf(model, 'model.embed_tokens.weight', 'lm_head.weight');
  let hidden = Array.from(ids, (id) => rowOf(embedding, id));
  (config['block_configs'] as BlockConfig[]).forEach(({ attention, ffn }, layer) => {
    const prefix = `model.layers.${layer}`;
    if (attention.no_op !== true) {
      const gain = tensorOf(model, `${prefix}.input_layernorm.weight`);
      const inputs = hidden.map((x) => rmsNorm(x, gain, epsilon));
      const own = { ...config, num_key_value_heads: heads / attention.n_heads_in_group! };
      const mixed = selfAttention({ config: own, tensor: (name) => model.tensor(name) }, `${prefix}.self_attn`, inputs);
      hidden = hidden.map((x, t) => plus(x, mixed[t]!));
    }
    if (ffn.no_op !== true) {
      const gain = tensorOf(model, `${prefix}.post_attention_layernorm.weight`);
      hidden = hidden.map((x) => plus(x, gatedMlp(model, `${prefix}.mlp`, rmsNorm(x, gain, epsilon))));
    }
  });
  const head = tensorOf(model, 'lm_head.weight', 'model.embed_tokens.weight');
  const last = tensorOf(model, 'model.norm.weight');
  return hidden.map((x) => multiply(head, rmsNorm(x, last, epsilon)));
};
