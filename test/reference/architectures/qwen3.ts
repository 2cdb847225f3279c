import { multiply, plus, project, rmsNorm, rowOf } from './arithmetic.js';
import { attend } from './attention.js';
import { numberOf, type ReferenceForward, type ReferenceModel, tensorOf } from './definition.js';
import { gatedMlp } from './llama.js';
import { windowOf } from './qwen2.js';
import { rotate, rotationOf } from './rotary.js';

/**
 * Qwen3: every head of q and k goes through an RMSNorm of its own width before it is turned. Sources: transformers,
 * models/qwen3/{configuration,modeling}_qwen3.py.
 */
export const qwen3: ReferenceForward = (model, ids) => {
  const { config } = model;
  const epsilon = numberOf(config, 'rms_norm_eps', 1e-6);
  const embedding = tensorOf(model, 'model.embed_tokens.weight');
  let hidden = Array.from(ids, (id) => rowOf(embedding, id));
  for (let layer = 0; layer < numberOf(config, 'num_hidden_layers'); layer++) {
    const prefix = `model.layers.${layer}`;
    const before = tensorOf(model, `${prefix}.input_layernorm.weight`);
    const mixed = attention(
      model,
      layer,
      hidden.map((x) => rmsNorm(x, before, epsilon)),
    );
    hidden = hidden.map((x, t) => plus(x, mixed[t]!));
    const between = tensorOf(model, `${prefix}.post_attention_layernorm.weight`);
    hidden = hidden.map((x) => plus(x, gatedMlp(model, `${prefix}.mlp`, rmsNorm(x, between, epsilon))));
  }
  const head = tensorOf(model, 'lm_head.weight', 'model.embed_tokens.weight');
  const last = tensorOf(model, 'model.norm.weight');
  return hidden.map((x) => multiply(head, rmsNorm(x, last, epsilon)));
};

function attention(model: ReferenceModel, layer: number, inputs: Float64Array[]): Float64Array[] {
  const { config } = model;
  const prefix = `model.layers.${layer}.self_attn`;
  const headDim = numberOf(config, 'head_dim', 128);
  const rotation = rotationOf(config, headDim, 10_000);
  const normedAndTurned = (which: 'q' | 'k') =>
    inputs.map((x, t) => {
      const values = project(model, `${prefix}.${which}_proj`, x);
      return rotate(normHeads(model, `${prefix}.${which}_norm.weight`, values), t, headDim, rotation);
    });
  const mixed = attend(
    normedAndTurned('q'),
    normedAndTurned('k'),
    inputs.map((x) => project(model, `${prefix}.v_proj`, x)),
    {
      heads: numberOf(config, 'num_attention_heads'),
      kvHeads: numberOf(config, 'num_key_value_heads', 32),
      headDim,
      scale: headDim ** -0.5,
      window: windowOf(config, layer),
    },
  );
  return mixed.map((x) => project(model, `${prefix}.o_proj`, x));
}

function normHeads(model: ReferenceModel, name: string, x: Float64Array): Float64Array {
  const gain = tensorOf(model, name);
  const headDim = gain.shape[0]!;
  const normed = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += headDim) {
    normed.set(rmsNorm(x.slice(start, start + headDim), gain, numberOf(model.config, 'rms_norm_eps', 1e-6)), start);
  }
  return normed;
}
