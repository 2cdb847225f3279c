/**
 * An independent decoder: Llama and Mistral from their published definition, in float64 and plain loops. It shares no
 * code with src/ and is the oracle for the forward pass and for whatever changes weights.
 * Sources: Touvron et al. 2023 (LLaMA), Jiang et al. 2023 (Mistral 7B), Su et al. 2021 (RoPE), Zhang & Sennrich 2019
 * (RMSNorm), Shazeer 2020 (SwiGLU), Ainslie et al. 2023 (GQA); rope_scaling as the Llama 3.1 release defines it.
 */

export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** The keys of config.json that the definition needs. */
export interface ReferenceConfig {
  readonly model_type: string;
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads?: number;
  readonly head_dim?: number;
  readonly rms_norm_eps: number;
  readonly rope_theta?: number;
  readonly rope_scaling?: Readonly<Record<string, number | string>> | null;
  readonly rope_parameters?: Readonly<Record<string, number | string>> | null;
  readonly sliding_window?: number | null;
}

export interface ReferenceModel {
  readonly config: ReferenceConfig;
  /** By Hugging Face name; undefined when the model has no such tensor (a bias, a tied head). */
  tensor(name: string): ReferenceTensor | undefined;
}

/** Called with the input vectors of the linears of one block: q k v, o, gate up, down. */
export type ReferenceObserve = (
  layer: number,
  input: 'qkv' | 'o' | 'gate-up' | 'down',
  vectors: Float64Array[],
) => void;

/** What a cache gives for a block's turned keys or its values, [kvHeads · headDim] of one position. */
export type ReferenceCache = (layer: number, kind: 'key' | 'value', vector: Float64Array) => Float64Array;

/** Logits [t][vocabulary] for one sequence with nothing before it. What `observe` writes into its vectors is what is computed with. */
export function referenceLogits(
  model: ReferenceModel,
  ids: ArrayLike<number>,
  observe?: ReferenceObserve,
  cache: ReferenceCache = (_layer, _kind, vector) => vector,
): Float64Array[] {
  const { config } = model;
  const embedding = need(model, 'model.embed_tokens.weight', 'lm_head.weight');
  let hidden = Array.from(ids, (id) => row(embedding, id));
  for (let layer = 0; layer < config.num_hidden_layers; layer++)
    hidden = block(model, layer, hidden, { observe, cache });
  const head = need(model, 'lm_head.weight', 'model.embed_tokens.weight');
  const gain = need(model, 'model.norm.weight');
  return hidden.map((x) => multiply(head, rmsNorm(x, gain, config.rms_norm_eps)));
}

function block(
  model: ReferenceModel,
  layer: number,
  hidden: Float64Array[],
  { observe, cache }: { readonly observe: ReferenceObserve | undefined; readonly cache: ReferenceCache },
): Float64Array[] {
  const prefix = `model.layers.${layer}`;
  const epsilon = model.config.rms_norm_eps;
  const before = need(model, `${prefix}.input_layernorm.weight`);
  const attentionInput = hidden.map((x) => rmsNorm(x, before, epsilon));
  observe?.(layer, 'qkv', attentionInput);
  const mixed = attend(model, `${prefix}.self_attn`, attentionInput, (kind, vector) => cache(layer, kind, vector));
  observe?.(layer, 'o', mixed);
  const attended = hidden.map((x, t) => plus(x, project(model, `${prefix}.self_attn.o_proj`, mixed[t]!)));
  const between = need(model, `${prefix}.post_attention_layernorm.weight`);
  const ffnInput = attended.map((x) => rmsNorm(x, between, epsilon));
  observe?.(layer, 'gate-up', ffnInput);
  const inner = ffnInput.map((x) => {
    const gate = project(model, `${prefix}.mlp.gate_proj`, x);
    const up = project(model, `${prefix}.mlp.up_proj`, x);
    return gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]!);
  });
  observe?.(layer, 'down', inner);
  return attended.map((x, t) => plus(x, project(model, `${prefix}.mlp.down_proj`, inner[t]!)));
}

/** Per head, softmax over the keys that the position may see; heads concatenated. */
function attend(
  model: ReferenceModel,
  prefix: string,
  inputs: Float64Array[],
  cached: (kind: 'key' | 'value', vector: Float64Array) => Float64Array,
): Float64Array[] {
  const { config } = model;
  const heads = config.num_attention_heads;
  const groupSize = heads / (config.num_key_value_heads ?? heads);
  const d = config.head_dim ?? config.hidden_size / heads;
  const window = config.model_type === 'mistral' ? (config.sliding_window ?? Infinity) : Infinity;
  const q = inputs.map((x, t) => rotate(project(model, `${prefix}.q_proj`, x), t, d, config));
  const k = inputs.map((x, t) => cached('key', rotate(project(model, `${prefix}.k_proj`, x), t, d, config)));
  const v = inputs.map((x) => cached('value', project(model, `${prefix}.v_proj`, x)));
  return inputs.map((_, t) => {
    const output = new Float64Array(heads * d);
    for (let head = 0; head < heads; head++) {
      const kv = Math.floor(head / groupSize) * d;
      const first = Math.max(0, t - window + 1);
      const scores: number[] = [];
      for (let s = first; s <= t; s++) {
        let dot = 0;
        for (let i = 0; i < d; i++) dot += q[t]![head * d + i]! * k[s]![kv + i]!;
        scores.push(dot / Math.sqrt(d));
      }
      const largest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - largest));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      weights.forEach((weight, j) => {
        for (let i = 0; i < d; i++) output[head * d + i]! += (weight / total) * v[first + j]![kv + i]!;
      });
    }
    return output;
  });
}

/** Turns every head's pair (i, i + d/2) by position · frequency. */
function rotate(x: Float64Array, position: number, d: number, config: ReferenceConfig): Float64Array {
  const turned = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += d) {
    for (let i = 0; i < d / 2; i++) {
      const angle = position * frequency(i, d, config);
      const a = x[start + i]!;
      const b = x[start + i + d / 2]!;
      turned[start + i] = a * Math.cos(angle) - b * Math.sin(angle);
      turned[start + i + d / 2] = b * Math.cos(angle) + a * Math.sin(angle);
    }
  }
  return turned;
}

function frequency(i: number, d: number, config: ReferenceConfig): number {
  const rope = { ...config.rope_scaling, ...config.rope_parameters };
  const theta = Number(rope['rope_theta'] ?? config.rope_theta ?? 10_000);
  const plain = 1 / theta ** ((2 * i) / d);
  const type = rope['rope_type'] ?? rope['type'] ?? 'default';
  const factor = Number(rope['factor']);
  if (type === 'linear') return plain / factor;
  if (type !== 'llama3') return plain;
  const low = Number(rope['low_freq_factor']);
  const high = Number(rope['high_freq_factor']);
  const context = Number(rope['original_max_position_embeddings']);
  const wavelength = (2 * Math.PI) / plain;
  if (wavelength < context / high) return plain;
  if (wavelength > context / low) return plain / factor;
  const smooth = (context / wavelength - low) / (high - low);
  return ((1 - smooth) * plain) / factor + smooth * plain;
}

function rmsNorm(x: Float64Array, gain: ReferenceTensor, epsilon: number): Float64Array {
  let squares = 0;
  for (const value of x) squares += value * value;
  const scale = 1 / Math.sqrt(squares / x.length + epsilon);
  return x.map((value, i) => value * scale * gain.values[i]!);
}

function project(model: ReferenceModel, name: string, x: Float64Array): Float64Array {
  const product = multiply(need(model, `${name}.weight`), x);
  const bias = model.tensor(`${name}.bias`);
  return bias === undefined ? product : product.map((value, i) => value + bias.values[i]!);
}

function multiply(matrix: ReferenceTensor, x: Float64Array): Float64Array {
  const [rows, columns] = matrix.shape as [number, number];
  const product = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let c = 0; c < columns; c++) sum += matrix.values[r * columns + c]! * x[c]!;
    product[r] = sum;
  }
  return product;
}

function row(matrix: ReferenceTensor, index: number): Float64Array {
  const columns = matrix.shape[1]!;
  return Float64Array.from({ length: columns }, (_, c) => matrix.values[index * columns + c]!);
}

function plus(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!);
}

/** The first of the names that the model has. */
function need(model: ReferenceModel, ...names: string[]): ReferenceTensor {
  for (const name of names) {
    const tensor = model.tensor(name);
    if (tensor !== undefined) return tensor;
  }
  throw new Error(`the reference model has none of ${names.join(', ')}`);
}
