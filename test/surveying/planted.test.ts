import { describe, expect, test } from 'vitest';
import { openModel } from '../../src/model/index.js';
import { Marks, type PlateKind } from '../../src/plates/index.js';
import { PlateList } from '../../src/surveying/list.js';
import { type Survey, type SurveyOptions, surveyOpened } from '../../src/surveying/survey.js';
import {
  architectureFixtures,
  fixtureModel,
  randomIds,
  withTensors,
  writeFixture,
} from '../fixtures/architectures/index.js';

const { llama, mixtral, gpt_neox: gptNeox } = architectureFixtures;
const WINDOWS = Array.from({ length: 6 }, (_, i) => ({ ids: randomIds(24, 60, 10 + i) }));
const HEAD_DIM = 10;
const HIDDEN = 36;

type Values = (name: string) => Float32Array;

/** A llama of some blocks whose weights `plant` has changed, surveyed. */
async function surveyed(
  plant: (values: Values) => void,
  options: Partial<SurveyOptions> = {},
  blocks = 5,
): Promise<Survey> {
  const base = fixtureModel(llama!, { num_hidden_layers: blocks });
  const changed = new Map<string, Float32Array>();
  plant((name) => {
    const values = changed.get(name) ?? base.tensors.get(name)!.values.slice();
    changed.set(name, values);
    return values;
  });
  const model = await openModel(writeFixture(withTensors(base, changed)));
  try {
    const { calibration: _, ...rest } = { device: 'cpu', ...options } as SurveyOptions;
    return await surveyOpened({ model, shed: Marks.none, name: 'tiny', passages: WINDOWS }, rest);
  } finally {
    await model.checkpoint.close();
  }
}

const first = (survey: Survey, kind: PlateKind, sort: 'level' | 'residual') =>
  [...new PlateList(survey, { sort }).lines()].filter((plate) => plate.kind === kind);

describe('planted plates', () => {
  test('a channel whose gate is dead comes first by score and by redundancy', async () => {
    const survey = await surveyed((values) => {
      values('model.layers.2.mlp.gate_proj.weight').fill(0, 7 * HIDDEN, 8 * HIDDEN);
    });
    for (const sort of ['level', 'residual'] as const) {
      const [dead, next] = first(survey, 'ffn-channel', sort);
      expect(dead).toMatchObject({ id: 'ffn-channel:2:7', score: 0, residual: 0, status: 'kept' });
      expect(next!.score).toBeGreaterThan(0);
    }
  });

  test('a channel that nothing reads comes first by score', async () => {
    const survey = await surveyed((values) => {
      const down = values('model.layers.3.mlp.down_proj.weight');
      for (let row = 0; row < HIDDEN; row += 1) down[row * 44 + 5] = 0;
    });
    expect(first(survey, 'ffn-channel', 'level')[0]).toMatchObject({ id: 'ffn-channel:3:5', score: 0 });
  });

  test('an expert that adds next to nothing comes first, and as many stay as a token goes through', async () => {
    const base = fixtureModel(mixtral!);
    const name = 'model.layers.1.block_sparse_moe.experts.3.w2.weight';
    const quiet = base.tensors.get(name)!.values.map((value) => value / 1000);
    const model = await openModel(writeFixture(withTensors(base, new Map([[name, quiet]]))));
    const survey = await surveyOpened(
      { model, shed: Marks.none, name: 'tiny', passages: WINDOWS },
      { device: 'cpu', kinds: ['expert'] },
    );
    await model.checkpoint.close();
    const listed = first(survey, 'expert', 'level');
    expect(listed[0]).toMatchObject({ id: 'expert:1:3', status: 'kept' });
    expect(listed[0]!.score).toBeLessThan(0.01 * Math.min(...listed.slice(1).map(({ score }) => score)));
    for (const block of [0, 1]) {
      const stay = listed.filter((plate) => plate.block === block && plate.status === 'protected');
      const scores = listed.filter((plate) => plate.block === block).map(({ score }) => score);
      expect(stay.map(({ score }) => score).sort()).toEqual(
        scores
          .sort((a, b) => b - a)
          .slice(0, 2)
          .sort(),
      );
    }
  });

  test('a head that is the copy of another comes first, with nothing left that the other does not give', async () => {
    const survey = await surveyed((values) => {
      // KV head 1 and its two query heads become head 0 and its.
      const copy = (name: string, rows: number) => values(name).copyWithin(rows * HIDDEN, 0, rows * HIDDEN);
      copy('model.layers.3.self_attn.q_proj.weight', 2 * HEAD_DIM);
      copy('model.layers.3.self_attn.k_proj.weight', HEAD_DIM);
      copy('model.layers.3.self_attn.v_proj.weight', HEAD_DIM);
    });
    const [copied, next] = first(survey, 'kv-group', 'residual');
    expect(copied!.id).toMatch(/^kv-group:3:[01]$/);
    expect(copied!.residual).toBeLessThan(1e-5);
    expect(copied!.foldsInto).toEqual([copied!.id === 'kv-group:3:0' ? 'kv-group:3:1' : 'kv-group:3:0']);
    expect(next!.residual).toBeGreaterThan(0.01);
  });

  test('a channel that is the sum of two others in the same network comes first by redundancy', async () => {
    const survey = await surveyed((values) => {
      // Equal gates make the inner activation linear in the rows of up.
      const gate = values('model.layers.1.mlp.gate_proj.weight');
      const up = values('model.layers.1.mlp.up_proj.weight');
      for (let j = 0; j < HIDDEN; j += 1) {
        gate[11 * HIDDEN + j] = gate[30 * HIDDEN + j] = gate[4 * HIDDEN + j]!;
        up[30 * HIDDEN + j] = 0.5 * up[4 * HIDDEN + j]! - 2 * up[11 * HIDDEN + j]!;
      }
    });
    const [found, next] = first(survey, 'ffn-channel', 'residual');
    expect(['ffn-channel:1:4', 'ffn-channel:1:11', 'ffn-channel:1:30']).toContain(found!.id);
    expect(found!.residual).toBeLessThan(1e-5);
    expect(next!.residual).toBeGreaterThan(20 * found!.residual!);
  });

  test('a dimension that carries a massive activation is protected, with the figure', async () => {
    const survey = await surveyed((values) => {
      const embedding = values('model.embed_tokens.weight');
      for (let token = 0; token < 61; token += 1) embedding[token * HIDDEN + 13] = 50 + (token % 3);
    });
    const outlier = [...new PlateList(survey).lines()].find(({ id }) => id === 'hidden:13')!;
    expect(outlier.status).toBe('protected');
    const reason = outlier.protections.find(({ reason: name }) => name === 'outlier-channel');
    expect(reason!.why).toMatch(
      /^its norm in the residual stream before block \d is \d+ times the median channel's, above 8$/,
    );
    expect(outlier.level ?? 1).toBeGreaterThan(0.5);
    const others = [...new PlateList(survey).lines()].filter(({ kind, protections }) => {
      return kind === 'hidden' && protections.some(({ reason: name }) => name === 'outlier-channel');
    });
    expect(others.map(({ id }) => id)).toEqual(['hidden:13']);
  });

  test.each(['magnitude', 'wanda', 'ria', 'taylor', 'fisher', 'hessian', 'activation', 'flap'])(
    'by %s, a channel of zeros scores least of all',
    async (metric) => {
      const survey = await surveyed(
        (values) => {
          for (const part of ['gate', 'up'])
            values(`model.layers.2.mlp.${part}_proj.weight`).fill(0, 9 * HIDDEN, 10 * HIDDEN);
          const down = values('model.layers.2.mlp.down_proj.weight');
          for (let row = 0; row < HIDDEN; row += 1) down[row * 44 + 9] = 0;
        },
        { metric, kinds: ['ffn-channel'] },
        3,
      );
      const [least, next] = [...new PlateList(survey, { block: 2, sort: 'score' }).lines()];
      expect(least).toMatchObject({ id: 'ffn-channel:2:9', score: 0 });
      expect(next!.score).toBeGreaterThan(0);
      for (const { raw } of survey.ranked)
        expect(raw.every((score) => Number.isFinite(score) && score >= 0)).toBe(true);
    },
  );
});

describe('what a config could not say', () => {
  test('protects hidden dimensions of a model with LayerNorm, and heads that its config cannot count by themselves', async () => {
    const model = await openModel(writeFixture(fixtureModel(gptNeox!)));
    try {
      const survey = await surveyOpened({ model, shed: Marks.none, name: 'neox', passages: [] }, {
        model: '',
        device: 'cpu',
      } as never);
      const lines = [...new PlateList(survey, { onlyProtected: true }).lines()];
      const why = (id: string) =>
        lines.find((line) => line.id === id)?.protections.find(({ reason }) => reason === 'shape')?.why;
      expect(why('hidden:3')).toContain('LayerNorm');
      expect(why('kv-group:0:1')).toContain('num_key_value_heads');
      expect(why('ffn-channel:0:1')).toBeUndefined();
    } finally {
      await model.checkpoint.close();
    }
  });
});
