import { multiply, plus, project, rowOf } from './arithmetic.js';
import { attend } from './attention.js';
import { numberOf, type ReferenceForward, type ReferenceModel, tensorOf } from './definition.js';
import { gemmaMlp, gemmaNorm } from './gemma2.js';
import { plainFrequencies, type Rotation, rotate, rotationOf } from './rotary.js';

/**
 * Gemma 3, text: Gemma 2's block with norms on the heads of q and k in place of the caps, one block of six looking at the whole
 * text, and a rotary base of its own for the others. Sources: transformers, models/gemma3/{configuration,modeling}_gemma3.py;
 * Gemma Team 2025 (arXiv 2503.19786).
 */
export const gemma3: ReferenceForward = (model, ids) => {
  const { config } = model;
  const embedding = tensorOf(model, 'model.embed_tokens.weight');
  const norm = (name: string) => gemmaNorm(model, `model.${name}.weight`);
  const root = Math.sqrt(numberOf(config, 'hidden_size'));
  let hidden: Float64Array[] = Array.from(ids, (id) => rowOf(embedding, id).map((value) => value * root));
  for (let layer = 0; layer < numberOf(config, 'num_hidden_layers'); layer++) {
    const prefix = `layers.${layer}`;
    const mixed = attention(model, layer, hidden.map(norm(`${prefix}.input_layernorm`)));
    const afterAttention = norm(`${prefix}.post_attention_layernorm`);
    hidden = hidden.map((x, t) => plus(x, afterAttention(mixed[t]!)));
    const before = norm(`${prefix}.pre_feedforward_layernorm`);
    const after = norm(`${prefix}.post_feedforward_layernorm`);
    hidden = hidden.map((x) => plus(x, after(gemmaMlp(model, `model.${prefix}.mlp`, before(x)))));
  }
  const head = tensorOf(model, 'lm_head.weight', 'model.embed_tokens.weight');
  const last = norm('norm');
  return hidden.map((x) => multiply(head, last(x)));
};

function attention(model: ReferenceModel, layer: number, inputs: Float64Array[]): Float64Array[] {
  const { config } = model;
  const prefix = `model.layers.${layer}.self_attn`;
  const headDim = numberOf(config, 'head_dim', 256);
  const types = config['layer_types'] as string[] | null | undefined;
  const pattern = numberOf(config, 'sliding_window_pattern', 6);
  const slides = types == null ? (layer + 1) % pattern !== 0 : types[layer] === 'sliding_attention';
  const rotation = rotationOfBlock(config, slides, headDim);
  const prepared = (which: 'q' | 'k') => {
    const norm = gemmaNorm(model, `${prefix}.${which}_norm.weight`);
    return inputs.map((x, t) => {
      const values = project(model, `${prefix}.${which}_proj`, x);
      for (let start = 0; start < values.length; start += headDim) {
        values.set(norm(values.slice(start, start + headDim)), start);
      }
      return rotate(values, t, headDim, rotation);
    });
  };
  const v = inputs.map((x) => project(model, `${prefix}.v_proj`, x));
  const mixed = attend(prepared('q'), prepared('k'), v, {
    heads: numberOf(config, 'num_attention_heads'),
    kvHeads: numberOf(config, 'num_key_value_heads', 4),
    headDim,
    scale: numberOf(config, 'query_pre_attn_scalar', 256) ** -0.5,
    window: slides ? numberOf(config, 'sliding_window', 4096) : undefined,
  });
  return mixed.map((x) => project(model, `${prefix}.o_proj`, x));
}

/** `rope_scaling` is for the blocks that see the whole text; transformers 5 writes `rope_parameters` for each kind. */
function rotationOfBlock(config: ReferenceModel['config'], slides: boolean, headDim: number): Rotation {
  const byKind = config['rope_parameters'] as Record<string, unknown> | null | undefined;
  if (byKind != null) {
    const own = byKind[slides ? 'sliding_attention' : 'full_attention'];
    return rotationOf({ rope_parameters: own }, headDim, slides ? 10_000 : 1_000_000);
  }
  if (!slides) return rotationOf(config, headDim, 1_000_000);
  return { frequencies: plainFrequencies(headDim, numberOf(config, 'rope_local_base_freq', 10_000)), scale: 1 };
}
