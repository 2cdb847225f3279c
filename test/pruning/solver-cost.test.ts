import { describe, expect, it } from 'vitest';
import { openModel } from '../../src/model/index.js';
import { pruneEdit } from '../../src/pruning/index.js';
import { replacedBytes } from '../../src/waves/sizes.js';
import { architectureFixtures, fixtureModel, writeFixture } from '../fixtures/architectures/index.js';

const tiny = () => openModel(writeFixture(fixtureModel(architectureFixtures['llama']!)));

describe('what a wave with a solver costs', () => {
  it('counts every Gram matrix and every linear', async () => {
    const model = await tiny();
    const edit = await pruneEdit({ metric: 'wanda', pattern: '2:4', solver: 'sparsegpt' });
    const tokens = 100;
    let flops = 0;
    for (const { linears, ffn } of model.decoder.blocks) {
      const { hidden, heads, headDim } = model.decoder;
      for (const width of [hidden, heads * headDim, hidden, ffn])
        flops += 2 * tokens * width ** 2 + (2 / 3) * width ** 3;
      for (const { rows, columns } of linears) flops += rows * columns ** 2;
    }
    const cost = edit.cost!(model, tokens);
    expect(cost.flops).toBeCloseTo(flops, 3);
    const { hidden, heads, headDim, ffn } = model.decoder;
    const widest = Math.max(hidden, ffn);
    expect(cost.gramBytes).toBe(12 * widest ** 2);
    // Two floats an element of all matrices that one pass adds up: of up to 1.5 times the elements of the widest.
    const passes = [[hidden, heads * headDim], [hidden], [ffn]].map((pass) => pass.map((width) => width ** 2));
    const most = Math.max(...passes.map((pass) => pass.reduce((sum, elements) => sum + elements, 0)));
    expect(cost.gramSums).toEqual({ kept: 8 * most, adding: 12 * widest ** 2 });
    await model.checkpoint.close();
  });

  it('takes room for every weight in every wave; masks take none of it', async () => {
    const model = await tiny();
    const solving = await pruneEdit({ metric: 'wanda', pattern: '2:4', solver: 'refit' });
    const masking = await pruneEdit({ metric: 'wanda', pattern: '2:4' });
    const bytes = model.decoder.blocks
      .flatMap(({ linears }) => linears)
      .reduce((sum, { rows, columns }) => sum + 4 * rows * columns, 0);
    expect(replacedBytes(model, [masking, solving], [5, 3])).toBe(3 * bytes);
    await model.checkpoint.close();
  });
});
