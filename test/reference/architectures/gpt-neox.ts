import { geluTanh, multiply, plus, project, rowOf } from './arithmetic.js';
import { attend } from './attention.js';
import { numberOf, type ReferenceForward, type ReferenceModel, tensorOf } from './definition.js';
import { geluExact, layerNorm } from './layer-norm.js';
import { ropeKeys, rotate, rotationOf } from './rotary.js';

const ACTIVATIONS: Readonly<Record<string, (x: number) => number>> = {
  gelu: geluExact,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  relu: (x) => Math.max(0, x),
};

/**
 * GPT-NeoX and Pythia: q, k and v of one head after the other in one matrix, the first `rotary_pct` of each head turned, and
 * attention and FFN side by side on the same input unless `use_parallel_residual` is false. Sources: transformers,
 * models/gpt_neox/{configuration,modeling}_gpt_neox.py; Black et al. 2022.
 */
export const gptNeox: ReferenceForward = (model, ids) => {
  const { config } = model;
  const epsilon = numberOf(config, 'layer_norm_eps', 1e-5);
  const embedding = tensorOf(model, 'gpt_neox.embed_in.weight');
  let hidden = Array.from(ids, (id) => rowOf(embedding, id));
  for (let layer = 0; layer < numberOf(config, 'num_hidden_layers'); layer++) {
    const prefix = `gpt_neox.layers.${layer}`;
    const before = layerNorm(model, `${prefix}.input_layernorm`, epsilon);
    const between = layerNorm(model, `${prefix}.post_attention_layernorm`, epsilon);
    const mixed = attention(model, `${prefix}.attention`, hidden.map(before));
    const attended = hidden.map((x, t) => plus(x, mixed[t]!));
    const seen = config['use_parallel_residual'] === false ? attended : hidden;
    hidden = attended.map((x, t) => plus(x, mlp(model, `${prefix}.mlp`, between(seen[t]!))));
  }
  const last = layerNorm(model, 'gpt_neox.final_layer_norm', epsilon);
  const head = tensorOf(model, 'embed_out.weight', 'gpt_neox.embed_in.weight');
  return hidden.map((x) => multiply(head, last(x)));
};

function attention(model: ReferenceModel, prefix: string, inputs: Float64Array[]): Float64Array[] {
  const { config } = model;
  const heads = numberOf(config, 'num_attention_heads');
  const headDim = numberOf(config, 'hidden_size') / heads;
  const keys = ropeKeys(config);
  const share = Number(keys['partial_rotary_factor'] ?? config['rotary_pct'] ?? 0.25);
  const theta = numberOf(config, 'rotary_emb_base', 10_000);
  const rotation = rotationOf(config, Math.trunc(headDim * share), theta);
  const fused = inputs.map((x) => project(model, `${prefix}.query_key_value`, x));
  // [heads, 3, headDim]: which of the three, out of every head.
  const part = (which: number) =>
    fused.map((x) => Float64Array.from(x.filter((_, i) => Math.floor(i / headDim) % 3 === which)));
  const turned = (which: number) => part(which).map((x, t) => rotate(x, t, headDim, rotation));
  const mixed = attend(turned(0), turned(1), part(2), { heads, kvHeads: heads, headDim, scale: headDim ** -0.5 });
  return mixed.map((x) => project(model, `${prefix}.dense`, x));
}

function mlp(model: ReferenceModel, prefix: string, x: Float64Array): Float64Array {
  const activation = ACTIVATIONS[(model.config['hidden_act'] as string | undefined) ?? 'gelu']!;
  const inner = project(model, `${prefix}.dense_h_to_4h`, x).map((value) => activation(value));
  return project(model, `${prefix}.dense_4h_to_h`, inner);
}
