import { multiply, plus, project, rmsNorm, rowOf, silu, times } from './arithmetic.js';
import { attend } from './attention.js';
import { numberOf, type ReferenceForward, type ReferenceModel, tensorOf } from './definition.js';
import { plainFrequencies, type Rotation, ropeKeys, rotate } from './rotary.js';

/**
 * Phi-3 and Phi-4: q, k and v in one matrix, gate and up in another, rotary embedding of a part of each head, LongRoPE.
 * Sources: transformers, models/phi3/{configuration,modeling}_phi3.py; Ding et al. 2024 (LongRoPE).
 */
export const phi3: ReferenceForward = (model, ids) => {
  const { config } = model;
  const epsilon = numberOf(config, 'rms_norm_eps', 1e-5);
  const embedding = tensorOf(model, 'model.embed_tokens.weight');
  let hidden = Array.from(ids, (id) => rowOf(embedding, id));
  for (let layer = 0; layer < numberOf(config, 'num_hidden_layers'); layer++) {
    const prefix = `model.layers.${layer}`;
    const before = tensorOf(model, `${prefix}.input_layernorm.weight`);
    const mixed = attention(
      model,
      `${prefix}.self_attn`,
      hidden.map((x) => rmsNorm(x, before, epsilon)),
    );
    hidden = hidden.map((x, t) => plus(x, mixed[t]!));
    const between = tensorOf(model, `${prefix}.post_attention_layernorm.weight`);
    hidden = hidden.map((x) => plus(x, mlp(model, `${prefix}.mlp`, rmsNorm(x, between, epsilon))));
  }
  const head = tensorOf(model, 'lm_head.weight', 'model.embed_tokens.weight');
  const last = tensorOf(model, 'model.norm.weight');
  return hidden.map((x) => multiply(head, rmsNorm(x, last, epsilon)));
};

function attention(model: ReferenceModel, prefix: string, inputs: Float64Array[]): Float64Array[] {
  const { config } = model;
  const heads = numberOf(config, 'num_attention_heads');
  const kvHeads = numberOf(config, 'num_key_value_heads', heads);
  const headDim = numberOf(config, 'hidden_size') / heads;
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  const rotation = longRope(config, headDim, inputs.length);
  const fused = inputs.map((x) => project(model, `${prefix}.qkv_proj`, x));
  const mixed = attend(
    fused.map((x, t) => rotate(x.slice(0, queries), t, headDim, rotation)),
    fused.map((x, t) => rotate(x.slice(queries, queries + keys), t, headDim, rotation)),
    fused.map((x) => x.slice(queries + keys)),
    {
      heads,
      kvHeads,
      headDim,
      scale: headDim ** -0.5,
      window: (config['sliding_window'] as number | null | undefined) ?? undefined,
    },
  );
  return mixed.map((x) => project(model, `${prefix}.o_proj`, x));
}

/**
 * `_compute_longrope_parameters`: each pair has a divisor of its own, from `long_factor` for a text above the first training's
 * context and from `short_factor` otherwise; cosine and sine grow with the ratio of the contexts, for either.
 */
function longRope(config: ReferenceModel['config'], headDim: number, tokens: number): Rotation {
  const keys = ropeKeys(config);
  const share = Number(keys['partial_rotary_factor'] ?? config['partial_rotary_factor'] ?? 1);
  const theta = Number(keys['rope_theta'] ?? config['rope_theta'] ?? 10_000);
  const plain = plainFrequencies(Math.floor(headDim * share), theta);
  const kind = keys['rope_type'] ?? keys['type'] ?? 'default';
  if (kind === 'default') return { frequencies: plain, scale: 1 };
  const first = Number(keys['original_max_position_embeddings'] ?? config['original_max_position_embeddings']);
  const divisors = keys[tokens > first ? 'long_factor' : 'short_factor'] as number[];
  const ratio = numberOf(config, 'max_position_embeddings') / first;
  return {
    frequencies: plain.map((frequency, i) => frequency / divisors[i]!),
    scale: ratio <= 1 ? 1 : Math.sqrt(1 + Math.log(ratio) / Math.log(first)),
  };
}

function mlp(model: ReferenceModel, prefix: string, x: Float64Array): Float64Array {
  const fused = project(model, `${prefix}.gate_up_proj`, x);
  const half = fused.length / 2;
  return project(model, `${prefix}.down_proj`, times(fused.slice(0, half).map(silu), fused.slice(half)));
}
