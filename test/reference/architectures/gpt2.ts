import { geluTanh, multiply, plus, rowOf } from './arithmetic.js';
import { attend } from './attention.js';
import { numberOf, type ReferenceForward, type ReferenceModel, type ReferenceTensor, tensorOf } from './definition.js';
import { geluExact, layerNorm } from './layer-norm.js';

const ACTIVATIONS: Readonly<Record<string, (x: number) => number>> = {
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu: geluExact,
  relu: (x) => Math.max(0, x),
};

/**
 * GPT-2: learned positions, weights stored [in, out] (Conv1D), q k v side by side, LayerNorm with bias, a plain FFN. The names
 * are those of the first release, or the same with `transformer.` before them. Sources: transformers,
 * models/gpt2/{configuration,modeling}_gpt2.py; Radford et al. 2019.
 */
export const gpt2: ReferenceForward = (model, ids) => {
  const { config } = model;
  const prefix = model.tensor('wte.weight') === undefined ? 'transformer.' : '';
  const epsilon = numberOf(config, 'layer_norm_epsilon', 1e-5);
  const [words, positions] = ['wte', 'wpe'].map((name) => tensorOf(model, `${prefix}${name}.weight`)) as [
    ReferenceTensor,
    ReferenceTensor,
  ];
  let hidden = Array.from(ids, (id, t) => plus(rowOf(words, id), rowOf(positions, t)));
  for (let layer = 0; layer < numberOf(config, 'n_layer'); layer++) {
    const block = `${prefix}h.${layer}`;
    const mixed = attention(model, layer, `${block}.attn`, hidden.map(layerNorm(model, `${block}.ln_1`, epsilon)));
    hidden = hidden.map((x, t) => plus(x, mixed[t]!));
    const before = layerNorm(model, `${block}.ln_2`, epsilon);
    const activation = ACTIVATIONS[(config['activation_function'] as string | undefined) ?? 'gelu_new']!;
    hidden = hidden.map((x) => {
      const inner = conv1d(model, `${block}.mlp.c_fc`, before(x)).map((value) => activation(value));
      return plus(x, conv1d(model, `${block}.mlp.c_proj`, inner));
    });
  }
  const last = layerNorm(model, `${prefix}ln_f`, epsilon);
  const head = model.tensor('lm_head.weight') ?? words;
  return hidden.map((x) => multiply(head, last(x)));
};

function attention(model: ReferenceModel, layer: number, prefix: string, inputs: Float64Array[]): Float64Array[] {
  const { config } = model;
  const width = numberOf(config, 'n_embd');
  const heads = numberOf(config, 'n_head');
  const headDim = width / heads;
  const fused = inputs.map((x) => conv1d(model, `${prefix}.c_attn`, x));
  const part = (index: number) => fused.map((x) => x.slice(index * width, (index + 1) * width));
  const scaled = config['scale_attn_weights'] === false ? 1 : headDim ** -0.5;
  const scale = config['scale_attn_by_inverse_layer_idx'] === true ? scaled / (layer + 1) : scaled;
  const mixed = attend(part(0), part(1), part(2), { heads, kvHeads: heads, headDim, scale });
  return mixed.map((x) => conv1d(model, `${prefix}.c_proj`, x));
}

/** Conv1D of pytorch_utils.py: xᵀ W + b for W [in, out]. */
function conv1d(model: ReferenceModel, name: string, x: Float64Array): Float64Array {
  const weight = tensorOf(model, `${name}.weight`);
  const outputs = weight.shape[1]!;
  const product = Float64Array.from(tensorOf(model, `${name}.bias`).values);
  x.forEach((value, i) => {
    for (let j = 0; j < outputs; j++) product[j]! += value * weight.values[i * outputs + j]!;
  });
  return product;
}
