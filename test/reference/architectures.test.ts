import { describe, expect, it } from 'vitest';
import {
  architectureFixtures,
  type ConfigKeys,
  FIXTURE_TOKENS,
  type FixtureModel,
  fixtureModel,
  gaussian,
  randomIds,
  respelled,
  withTensors,
} from '../fixtures/architectures/index.js';
import { attend } from './architectures/attention.js';
import { type ReferenceModel, type ReferenceTensor, referenceForwards } from './architectures/index.js';
import { erf } from './architectures/layer-norm.js';
import { routed } from './architectures/mixtral.js';
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
    expect(Math.abs(score(9, 4) - score(9, 5))).toBeGreaterThan(1e-4);
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

describe('gemma3_text', () => {
  it('has heads whose length before the rotation is that of the norm’s gain: scaling q_proj and k_proj changes nothing', () => {
    const tiny = model('gemma3_text', { rms_norm_eps: 1e-30 });
    const scaled = new Map(
      [...tiny.tensors].map(([name, { shape, values }]) => [
        name,
        { shape, values: /[qk]_proj/.test(name) ? values.map((value) => 4 * value) : values },
      ]),
    );
    const same = forward('gemma3_text', seenAs(tiny.config, scaled), idsOf(tiny));
    expect(relativeDifference(same, forward('gemma3_text', tiny, idsOf(tiny)))).toBeLessThan(1e-12);
  });

  it('reads the older and the newer spelling of one config alike', () => {
    const [older, newer] = [
      model('gemma3_text'),
      model(
        'gemma3_text',
        architectureFixtures['gemma3_text']!.variants['rope_parameters and layer_types, as transformers 5 writes']!,
      ),
    ];
    const expected = forward('gemma3_text', older, idsOf(older));
    expect(relativeDifference(forward('gemma3_text', newer, idsOf(older)), expected)).toBe(0);
  });
});

describe('mistral', () => {
  it.each(Object.entries({ 'as published': {}, ...architectureFixtures['mistral']!.variants }))(
    '%s agrees with the other float64 decoder',
    (_, difference) => {
      const tiny = model('mistral', difference);
      const other = { config: tiny.config as unknown as ReferenceConfig, tensor: tiny.tensor };
      const found = forward('mistral', tiny, idsOf(tiny));
      expect(relativeDifference(found, referenceLogits(other, idsOf(tiny)))).toBeLessThan(1e-12);
    },
  );
});

describe('mixtral', () => {
  const expertName = /block_sparse_moe\.experts\.\d\.(w[123])/;

  it('of experts that are all the same is Mistral with one of them', () => {
    const tiny = model('mixtral');
    const alike = new Map(
      [...tiny.tensors].map(([name, tensor]) => {
        const first = name.replace(expertName, 'block_sparse_moe.experts.0.$1');
        return [name, first === name ? tensor : tiny.tensors.get(first)!];
      }),
    );
    const roles: Record<string, string> = { w1: 'gate_proj', w3: 'up_proj', w2: 'down_proj' };
    const dense = new Map(
      [...alike].map(([name, tensor]) => [name.replace(expertName, (_, w: string) => `mlp.${roles[w]}`), tensor]),
    );
    const expected = forward('mistral', seenAs(tiny.config, dense), idsOf(tiny));
    expect(relativeDifference(forward('mixtral', seenAs(tiny.config, alike), idsOf(tiny)), expected)).toBeLessThan(
      1e-12,
    );
  });

  it('sends a token to the experts of its largest router logits, shared by the softmax over those alone', () => {
    const gate = { shape: [4, 1], values: [Math.log(3), Math.log(5), Math.log(1), Math.log(2)] };
    const router = seenAs({ num_experts_per_tok: 2 }, new Map([['moe.gate.weight', gate]]));
    const shares = routed(router, 'moe', Float64Array.of(1));
    expect(shares).toEqual([
      { expert: 1, share: expect.closeTo(5 / 8, 12) },
      { expert: 0, share: expect.closeTo(3 / 8, 12) },
    ]);
  });
});

describe('gpt2 and gpt_neox', () => {
  it('know the error function', () => {
    // Abramowitz & Stegun, table 7.1, and libm.
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 14);
    expect(erf(-1)).toBeCloseTo(-0.8427007929497149, 14);
    expect(erf(2)).toBeCloseTo(0.9953222650189527, 14);
    expect(erf(3.5)).toBeCloseTo(0.9999992569016276, 14);
    expect([erf(0), erf(30)]).toEqual([0, 1]);
  });

  /** GPT-2 as a GPT-NeoX that turns nothing: matrices transposed, q k v dealt out head by head, the positions of one token. */
  function asNeox({ config, tensors }: FixtureModel): ReferenceModel {
    const { n_embd: width, n_head: heads, n_layer: layers, n_inner: inner } = config as Record<string, number>;
    const headDim = width! / heads!;
    const renamed = new Map<string, ReferenceTensor>();
    const names: [RegExp, string][] = [
      [/^wte/, 'gpt_neox.embed_in'],
      [/^ln_f/, 'gpt_neox.final_layer_norm'],
      [/^h\.(\d+)\.ln_1/, 'gpt_neox.layers.$1.input_layernorm'],
      [/^h\.(\d+)\.ln_2/, 'gpt_neox.layers.$1.post_attention_layernorm'],
      [/^h\.(\d+)\.attn\.c_attn/, 'gpt_neox.layers.$1.attention.query_key_value'],
      [/^h\.(\d+)\.attn\.c_proj/, 'gpt_neox.layers.$1.attention.dense'],
      [/^h\.(\d+)\.mlp\.c_fc/, 'gpt_neox.layers.$1.mlp.dense_h_to_4h'],
      [/^h\.(\d+)\.mlp\.c_proj/, 'gpt_neox.layers.$1.mlp.dense_4h_to_h'],
    ];
    for (const [name, { shape, values }] of tensors) {
      const found = names.find(([pattern]) => pattern.test(name));
      if (found === undefined) continue;
      const [inputs, outputs] = /\.c_\w+\.weight/.test(name) ? (shape as [number, number]) : [1, 0];
      const stored =
        outputs === 0
          ? { shape, values }
          : {
              shape: [outputs, inputs],
              values: Float32Array.from(values, (_, i) => values[(i % inputs) * outputs + Math.floor(i / inputs)]!),
            };
      // Row r of head h's part p comes from row p · width + h · headDim + r.
      const columns = stored.shape.length === 2 ? stored.shape[1]! : 1;
      const source = (row: number) => {
        const [h, p, r] = [Math.floor(row / (3 * headDim)), Math.floor(row / headDim) % 3, row % headDim];
        return p * width! + h * headDim + r;
      };
      const dealt = name.includes('c_attn')
        ? stored.values.map((_, i) => stored.values[source(Math.floor(i / columns)) * columns + (i % columns)]!)
        : stored.values;
      renamed.set(name.replace(found[0], found[1]), { shape: stored.shape, values: dealt });
    }
    const sizes = {
      hidden_size: width,
      num_attention_heads: heads,
      num_hidden_layers: layers,
      intermediate_size: inner,
    };
    const neox = {
      ...sizes,
      rotary_pct: 0,
      use_parallel_residual: false,
      hidden_act: 'gelu_new',
      layer_norm_eps: 1e-5,
    };
    return seenAs(neox, renamed);
  }

  it('are one model where GPT-2 has no positions and GPT-NeoX turns nothing', () => {
    const tiny = model('gpt2');
    const zeros = new Float32Array(tiny.tensors.get('wpe.weight')!.values.length);
    const still = withTensors(tiny, new Map([['wpe.weight', zeros]]));
    const expected = forward('gpt_neox', asNeox(tiny), idsOf(tiny));
    expect(relativeDifference(forward('gpt2', still, idsOf(tiny)), expected)).toBeLessThan(1e-12);
    expect(relativeDifference(forward('gpt2', tiny, idsOf(tiny)), expected)).toBeGreaterThan(1e-2);
  });

  it('GPT-2 reads both spellings of its names', () => {
    const tiny = model('gpt2');
    const saved = respelled(tiny, architectureFixtures['gpt2']!.spellings!['saved by GPT2LMHeadModel']!);
    expect(relativeDifference(forward('gpt2', saved, idsOf(tiny)), forward('gpt2', tiny, idsOf(tiny)))).toBe(0);
  });

  it('a parallel residual of a block without attention is the other one', () => {
    const without = ({ tensors }: FixtureModel) =>
      new Map(
        [...tensors].map(([name, t]) => [name, /dense\./.test(name) ? new Float32Array(t.values.length) : t.values]),
      );
    const [side, after] = [model('gpt_neox'), model('gpt_neox', { use_parallel_residual: false })].map((tiny) =>
      forward('gpt_neox', withTensors(tiny, without(tiny)), idsOf(tiny)),
    );
    expect(relativeDifference(side!, after!)).toBe(0);
  });
});

describe('nemotron-nas', () => {
  const group = (n_heads_in_group: number) => ({ n_heads_in_group, no_op: false });

  it('of blocks that are all alike is Llama', () => {
    const block = { attention: group(2), ffn: { intermediate_size: 44, no_op: false } };
    const tiny = model('nemotron-nas', { block_configs: [block, block, block] });
    const config = { ...tiny.config, num_key_value_heads: 2, intermediate_size: 44 };
    const expected = forward('llama', seenAs(config, tiny.tensors), idsOf(tiny));
    expect(relativeDifference(forward('nemotron-nas', tiny, idsOf(tiny)), expected)).toBe(0);
  });

  it('without a half computes what zeros in that half’s output compute', () => {
    const tiny = model('nemotron-nas', architectureFixtures['nemotron-nas']!.variants['every block whole']!);
    const blocks = tiny.config['block_configs'] as { attention: object; ffn: object }[];
    const zeroed = withTensors(
      tiny,
      new Map(
        ['model.layers.1.self_attn.o_proj.weight', 'model.layers.2.mlp.down_proj.weight'].map((name) => [
          name,
          new Float32Array(tiny.tensors.get(name)!.values.length),
        ]),
      ),
    );
    const block_configs = [
      blocks[0]!,
      { ...blocks[1]!, attention: { n_heads_in_group: null, no_op: true } },
      { ...blocks[2]!, ffn: { intermediate_size: null, no_op: true } },
    ];
    const expected = forward('nemotron-nas', zeroed, idsOf(tiny));
    const found = forward('nemotron-nas', seenAs({ ...tiny.config, block_configs }, tiny.tensors), idsOf(tiny));
    expect(relativeDifference(found, expected)).toBe(0);
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
    expect(relativeDifference(forward(type, varied, idsOf(plain)), expected)).toBeGreaterThan(1e-4);
  });
});
