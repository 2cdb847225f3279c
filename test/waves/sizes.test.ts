import { afterEach, describe, expect, it } from 'vitest';
import { type Model, openModel, valuesPerToken } from '../../src/model/index.js';
import { prunableOf, sizesOf } from '../../src/waves/sizes.js';
import { architectureFixtures, fixtureModel, writeFixture } from '../fixtures/architectures/index.js';

let model: Model | undefined;
afterEach(() => model?.checkpoint.close());

async function opened(modelType: string, difference = {}): Promise<Model> {
  model = await openModel(writeFixture(fixtureModel(architectureFixtures[modelType]!, difference)));
  return model;
}

describe('sizesOf', () => {
  // Hidden 40, 4 heads of 10, 60 tokens. Blocks: 2 key heads and an FFN of 44; an FFN of 20 alone; 1 key head alone.
  it('adds up blocks of different widths', async () => {
    const sizes = sizesOf(await opened('nemotron-nas'));
    const prunable = 2 * 40 * 40 + 2 * 20 * 40 + 3 * 44 * 40 + 3 * 20 * 40 + 2 * 40 * 40 + 2 * 10 * 40;
    expect(sizes.prunable).toBe(prunable);
    expect(sizes.multiplied).toBe(prunable + 60 * 40);
    expect(sizes.parameters).toBe(prunable + 2 * 60 * 40 + 5 * 40);
    expect(sizes.prunableBytes).toBe(4 * prunable);
  });

  it('counts for a token the experts that it goes through', async () => {
    const { decoder, checkpoint } = await opened('mixtral');
    const { experts, linears } = decoder.blocks[0]!;
    const inExperts = linears
      .filter(({ expert }) => expert !== undefined)
      .reduce((sum, { rows, columns }) => sum + rows * columns, 0);
    const idle = decoder.blocks.length * inExperts * (1 - experts!.perToken / experts!.count);
    expect(idle).toBeGreaterThan(0);
    const { multiplied } = sizesOf({ decoder, checkpoint });
    expect(multiplied).toBeCloseTo(prunableOf(decoder) - idle + decoder.vocabulary * decoder.hidden, 6);
  });
});

describe('valuesPerToken', () => {
  it('is the width of a fused weight where that is the largest, and the scores where the text is long', async () => {
    const { decoder } = await opened('phi3');
    expect(valuesPerToken(decoder, 5)).toBe(2 * 44);
    expect(valuesPerToken(decoder, 30)).toBe(4 * 30);
  });
});
