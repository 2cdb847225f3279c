import { describe, expect, it } from 'vitest';
import {
  architectureFixtures,
  type ConfigKeys,
  FIXTURE_TOKENS,
  type FixtureModel,
  fixtureModel,
  gaussian,
  randomIds,
} from '../fixtures/architectures/index.js';
import { attend } from './architectures/attention.js';
import { type ReferenceModel, type ReferenceTensor, referenceForwards } from './architectures/index.js';
import { plainFrequencies, rotate } from './architectures/rotary.js';
import { type ReferenceConfig, referenceLogits } from './float64-decoder.js';

const forward = (modelType: string, model: ReferenceModel, ids: Int32Array) =>
  referenceForwards[modelType]!(model, ids);
const model = (modelType: string, difference: ConfigKeys = {}) =>
  fixtureModel(architectureFixtures[modelType]!, difference);
const idsOf = ({ config }: ReferenceModel) => randomIds(FIXTURE_TOKENS, config['vocab_size'] as number, 5);

/** The same model under another config and other names. */
function seenAs(config: ConfigKeys, tensors: ReadonlyMap<string, ReferenceTensor>): ReferenceModel {
  return { config, tensor: (name) => tensors.get(name) };
}

/** The largest difference over the largest magnitude. */
function relativeDifference(logits: Float64Array[], expected: Float64Array[]): number {
  expect(logits.length).toBe(expected.length);
  const found = logits.flatMap((row) => [...row]);
  const wanted = expected.flatMap((row) => [...row]);
  expect(found.length).toBe(wanted.length);
  const magnitude = Math.max(...wanted.map(Math.abs));
  return Math.max(...found.map((value, i) => Math.abs(value - wanted[i]!))) / magnitude;
}

describe('the parts of the float64 forward passes', () => {
  const random = gaussian(3);
  const vectors = (count: number, width: number) =>
    Array.from({ length: count }, () => Float64Array.from({ length: width }, random));

  it('rotate is a product with e^(i position frequency) of the halves as real and imaginary part', () => {
    const [x] = vectors(1, 20) as [Float64Array];
    const frequencies = plainFrequencies(8, 100);
    const turned = rotate(x, 7, 10, { frequencies, scale: 1 });
    for (const head of [0, 10]) {
      frequencies.forEach((frequency, i) => {
        const [re, im] = [x[head + i]!, x[head + 4 + i]!];
        const [length, angle] = [Math.hypot(re, im), Math.atan2(im, re) + 7 * frequency];
        expect(turned[head + i]).toBeCloseTo(length * Math.cos(angle), 12);
        expect(turned[head + 4 + i]).toBeCloseTo(length * Math.sin(angle), 12);
      });
      expect([...turned.slice(head + 8, head + 10)]).toEqual([...x.slice(head + 8, head + 10)]);
    }
    expect(frequencies).toEqual([1, 100 ** -0.25, 0.1, 100 ** -0.75]);
  });

  it('rotated queries and keys depend on the distance of their positions alone', () => {
    const [q, k] = vectors(2, 10) as [Float64Array, Float64Array];
    const rotation = { frequencies: plainFrequencies(10, 1000), scale: 1 };
    const score = (t: number, s: number) => {
      const key = rotate(k, s, 10, rotation);
      return rotate(q, t, 10, rotation).reduce((sum, value, i) => sum + value * key[i]!, 0);
    };
    expect(score(9, 4)).toBeCloseTo(score(105, 100), 10);
    expect(Math.abs(score(9, 4) - score(9, 5))).toBeGreaterThan(1e-3);
  });

  it('attend is softmax(Q Kᵀ scale + mask) V with the key heads repeated', () => {
    const [tokens, heads, kvHeads, headDim, scale, window] = [9, 4, 2, 3, 0.7, 4];
    const q = vectors(tokens, heads * headDim);
    const [k, v] = [vectors(tokens, kvHeads * headDim), vectors(tokens, kvHeads * headDim)];
    const found = attend(q, k, v, { heads, kvHeads, headDim, scale, window, softcap: 1.5 });
    for (let head = 0; head < heads; head++) {
      const of = (rows: Float64Array[], at: number) => rows.map((row) => row.slice(at * headDim, (at + 1) * headDim));
      const [qs, ks, vs] = [of(q, head), of(k, head >> 1), of(v, head >> 1)];
      const raw = qs.map((a) => ks.map((b) => scale * a.reduce((sum, value, i) => sum + value * b[i]!, 0)));
      const capped = raw.map((row) => row.map((score) => 1.5 * Math.tanh(score / 1.5)));
      const seen = capped.map((row, t) => row.map((score, s) => (s <= t && s > t - window ? score : -Infinity)));
      const exps = seen.map((row) => row.map(Math.exp));
      exps.forEach((row, t) => {
        const total = row.reduce((sum, value) => sum + value, 0);
        for (let i = 0; i < headDim; i++) {
          const mixed = row.reduce((sum, value, s) => sum + (value / total) * vs[s]![i]!, 0);
          expect(found[t]![head * headDim + i]).toBeCloseTo(mixed, 12);
        }
      });
    }
  });
});

describe('llama', () => {
  it.each(Object.entries({ 'as published': {}, ...architectureFixtures['llama']!.variants }))(
    '%s agrees with the other float64 decoder',
    (_, difference) => {
      const tiny = model('llama', difference);
      const other = { config: tiny.config as unknown as ReferenceConfig, tensor: tiny.tensor };
      const difference64 = relativeDifference(forward('llama', tiny, idsOf(tiny)), referenceLogits(other, idsOf(tiny)));
      expect(difference64).toBeLessThan(1e-12);
    },
  );
});

describe('qwen2', () => {
  it('is Llama with biases on q, k and v and none on o', () => {
    const tiny = model('qwen2');
    expect(relativeDifference(forward('qwen2', tiny, idsOf(tiny)), forward('llama', tiny, idsOf(tiny)))).toBe(0);
    expect(tiny.tensors.has('model.layers.0.self_attn.q_proj.bias')).toBe(true);
    expect(tiny.tensors.has('model.layers.0.self_attn.o_proj.bias')).toBe(false);
  });
});

describe('qwen3', () => {
  it('has heads whose length before the rotation is that of the norm’s gain: scaling q_proj changes nothing', () => {
    const tiny = model('qwen3', { rms_norm_eps: 1e-30 });
    const scaled = new Map(
      [...tiny.tensors].map(([name, { shape, values }]) => [
        name,
        { shape, values: /[qk]_proj/.test(name) ? values.map((value) => 4 * value) : values },
      ]),
    );
    const same = forward('qwen3', seenAs(tiny.config, scaled), idsOf(tiny));
    expect(relativeDifference(same, forward('qwen3', tiny, idsOf(tiny)))).toBeLessThan(1e-12);
  });
});

describe('phi3', () => {
  /** The same weights in Llama's names, the fused matrices cut apart. */
  function unfused({ config, tensors }: FixtureModel): ReferenceModel {
    const hidden = config['hidden_size'] as number;
    const keys = (hidden / (config['num_attention_heads'] as number)) * (config['num_key_value_heads'] as number);
    const ffn = config['intermediate_size'] as number;
    const parts: [RegExp, [string, number][]][] = [
      [
        /qkv_proj/,
        [
          ['q_proj', hidden],
          ['k_proj', keys],
          ['v_proj', keys],
        ],
      ],
      [
        /gate_up_proj/,
        [
          ['gate_proj', ffn],
          ['up_proj', ffn],
        ],
      ],
    ];
    const cut = new Map<string, ReferenceTensor>();
    for (const [name, tensor] of tensors) {
      const found = parts.find(([pattern]) => pattern.test(name));
      if (found === undefined) cut.set(name, tensor);
      let start = 0;
      for (const [role, rows] of found?.[1] ?? []) {
        const values = tensor.values.slice(start * hidden, (start + rows) * hidden);
        cut.set(name.replace(found![0], role), { shape: [rows, hidden], values });
        start += rows;
      }
      if (found !== undefined) expect(start).toBe(tensor.shape[0]);
    }
    return seenAs(config, cut);
  }

  it('is Llama with q, k, v and gate, up stacked, and Mistral’s window', () => {
    const tiny = model('phi3', { sliding_window: null });
    const expected = forward('llama', unfused(tiny), idsOf(tiny));
    expect(relativeDifference(forward('phi3', tiny, idsOf(tiny)), expected)).toBeLessThan(1e-12);
    const windowed = model('phi3');
    const mistral = {
      ...unfused(windowed),
      config: { ...windowed.config, model_type: 'mistral' } as unknown as ReferenceConfig,
    };
    const other = referenceLogits(mistral, idsOf(windowed));
    expect(relativeDifference(forward('phi3', windowed, idsOf(windowed)), other)).toBeLessThan(1e-12);
  });

  it('with LongRoPE factors that are all equal turns as with linear scaling, and longer', () => {
    const rope_scaling = { type: 'longrope', long_factor: [3, 3, 3, 3], short_factor: [1, 1, 1, 1] };
    const tiny = model('phi3', { sliding_window: null, rope_scaling, original_max_position_embeddings: 16 });
    // √(1 + ln 16 / ln 16) of cosine and sine is that of q and k: scores are twice as large.
    const { config } = tiny;
    const linear = unfused(model('phi3', { sliding_window: null }));
    const louder = {
      ...linear,
      config: { ...config, rope_scaling: { type: 'linear', factor: 3 } },
      tensor: (name: string) => {
        const tensor = linear.tensor(name);
        if (tensor === undefined || !name.includes('q_proj')) return tensor;
        return { ...tensor, values: Float64Array.from(tensor.values, (value) => 2 * value) };
      },
    };
    const expected = forward('llama', louder, idsOf(tiny));
    expect(relativeDifference(forward('phi3', tiny, idsOf(tiny)), expected)).toBeLessThan(1e-12);
  });
});

describe('gemma2', () => {
  /** One token through one block of width 2 with one head of width 2: attention of one token is v. */
  it('of one token, by hand', () => {
    const config = {
      ...architectureFixtures['gemma2']!.config,
      ...{ hidden_size: 2, head_dim: 2, num_attention_heads: 1, num_key_value_heads: 1, num_hidden_layers: 1 },
      ...{ intermediate_size: 1, vocab_size: 2, rms_norm_eps: 1e-30, final_logit_softcapping: 2 },
    };
    const prefix = 'model.layers.0';
    const identity = { shape: [2, 2], values: [1, 0, 0, 1] };
    const norms = ['input', 'post_attention', 'pre_feedforward', 'post_feedforward'];
    const tensors = new Map<string, ReferenceTensor>([
      ['model.embed_tokens.weight', { shape: [2, 2], values: [0, 0, 3, 4] }],
      ...['q', 'k', 'v', 'o'].map((role) => [`${prefix}.self_attn.${role}_proj.weight`, identity] as const),
      ...norms.map((norm) => [`${prefix}.${norm}_layernorm.weight`, { shape: [2], values: [0, 0] }] as const),
      [`${prefix}.post_attention_layernorm.weight`, { shape: [2], values: [9, -1] }],
      [`${prefix}.mlp.gate_proj.weight`, { shape: [1, 2], values: [1, 0] }],
      [`${prefix}.mlp.up_proj.weight`, { shape: [1, 2], values: [0, 1] }],
      [`${prefix}.mlp.down_proj.weight`, { shape: [2, 1], values: [1, 0] }],
      ['model.norm.weight', { shape: [2], values: [0, 0] }],
    ]);
    // Embedding √2·(3, 4); normed (3, 4)·√2/5 goes through attention as it is. Normed again it is the same; gains 1 + 9 and 1 − 1
    // make (6√2, 0), so that h = (9√2, 4√2). The FFN gives (f, 0) with f of gelu(9√2/√48.5)·4√2/√48.5 > 0; its norm makes it
    // (√2, 0) whatever f is: h = (10√2, 4√2). The head is the embedding: logits (0, 2 tanh((3·10 + 4·4)·√2/√116 / 2)).
    const [logits] = forward('gemma2', seenAs(config, tensors), Int32Array.of(1)) as [Float64Array];
    expect([...logits]).toEqual([0, expect.closeTo(2 * Math.tanh((46 * Math.SQRT2) / Math.sqrt(116) / 2), 12)]);
  });

  it('slides on even blocks, as its explicit layer_types say', () => {
    const tiny = model('gemma2');
    const listed = model('gemma2', architectureFixtures['gemma2']!.variants['layer_types, as later releases write']!);
    expect(relativeDifference(forward('gemma2', listed, idsOf(tiny)), forward('gemma2', tiny, idsOf(tiny)))).toBe(0);
  });
});

/** Without those that say in other words what the plain config says already. */
const cases = Object.values(architectureFixtures).flatMap((fixture) =>
  Object.entries(fixture.variants)
    .filter(([name]) => !/releases write|transformers 5 writes/.test(name))
    .map(([name, difference]) => ({ type: fixture.modelType, name, difference, fixture })),
);

describe('every variant', () => {
  it.each(cases)('$type, $name, changes the logits of its architecture', ({ type, difference, fixture }) => {
    const plain = fixtureModel(fixture);
    const varied = fixtureModel(fixture, difference);
    const expected = forward(type, plain, idsOf(plain));
    expect(relativeDifference(forward(type, varied, idsOf(plain)), expected)).toBeGreaterThan(1e-3);
  });
});
