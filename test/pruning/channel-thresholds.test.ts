import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Model } from '../../src/model/index.js';
import { Marks } from '../../src/plates/index.js';
import { chosenByQuota } from '../../src/pruning/channel-order.js';
import { type EditContext, shedEdit } from '../../src/pruning/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { type TinySession, tinySession } from '../evidence/tiny-session.js';
import { TINY_LLAMA, tinyModel } from '../reference/tiny-model.js';
import { shedOnce } from './shed-once.js';

describe('channels by quota', () => {
  const assignments = Int32Array.from([0, 0, 0, 1, 1, 2]);

  it('go in their order, of each cluster as many as its quota asks for, those that are gone counted', () => {
    const quota = { assignments, counts: [2, 1, 1] };
    expect(chosenByQuota([4, 0, 3, 1, 2, 5], quota, { gone: [], count: 4 })).toEqual([4, 0, 1, 5]);
    expect(chosenByQuota([4, 0, 3, 2, 5], quota, { gone: [1], count: 3 })).toEqual([4, 0, 5]);
  });

  it('are filled up from others where a cluster has too few that may go', () => {
    const quota = { assignments, counts: [0, 2, 1] };
    expect(chosenByQuota([0, 3, 1, 2], quota, { gone: [], count: 3 })).toEqual([0, 3, 1]);
  });
});

describe('thresholds of clusters of channels', () => {
  let device: Device;
  let session: TinySession;
  beforeAll(async () => {
    device = await openDevice('cpu');
    const config = { ...TINY_LLAMA, hidden_size: 16, intermediate_size: 32, vocab_size: 31 };
    session = await tinySession(tinyModel(config, 3), [24, 24, 17, 20]);
  });
  afterAll(async () => {
    await session.close();
    await device.close();
  });

  const SETTINGS = {
    plates: 'ffn',
    thresholds: 'cluster',
    clusterThresholds: { clusters: 3, generations: 2, offspring: 4 },
  } as const;
  const shed = async (
    settings: Parameters<typeof shedEdit>[0],
    model: Model = session.model,
    over: Partial<EditContext> = {},
  ) =>
    shedOnce(model, await shedEdit(settings), {
      device,
      calibration: session.sequences.map((ids) => ({ ids })),
      ...over,
    });
  const counts = (marks = Marks.none) =>
    [0, 1].map((block) => marks.indices('ffn-channel', block).reduce((sum, { count }) => sum + count, 0));

  it.each(['ls', 'none'] as const)(
    'with the fold %s shed what each block is allotted, by clusters as the record says',
    async (fold) => {
      const before = device.memory();
      const { proposal } = await shed({ ...SETTINGS, sparsity: 0.2, fold });
      const without = await shed({ plates: 'ffn', sparsity: 0.2, fold });
      expect(counts(proposal.marks)).toEqual(counts(without.proposal.marks));
      const rows = proposal.details!['thresholds'] as readonly { tensor: string; removed: number; weights: number }[];
      for (const block of [0, 1]) {
        const own = rows.filter(({ tensor }) => tensor.startsWith(`model.layers.${block}.`));
        expect(own.reduce((sum, { removed }) => sum + removed, 0)).toBe(counts(proposal.marks)[block]);
        expect(own.reduce((sum, { weights }) => sum + weights, 0)).toBe(32);
      }
      const again = await shed({ ...SETTINGS, sparsity: 0.2, fold });
      expect(again.proposal).toEqual(proposal);
      expect(device.memory()).toEqual(before);
    },
  );

  it('are no worse on the text that decides than the channels that go without clusters', async () => {
    const { proposal } = await shed({ ...SETTINGS, sparsity: 0.3 });
    const finalists = proposal.details!['thresholdFinalists'] as readonly {
      name: string;
      deciding: number;
      chosen: boolean;
    }[];
    const [chosen, uniform] = [
      finalists.find((each) => each.chosen)!,
      finalists.find(({ name }) => name === 'uniform')!,
    ];
    expect(chosen.deciding).toBeLessThanOrEqual(uniform.deciding);
  });

  it('shed the same channels as without clusters where trading gains nothing: here there is nobody to trade with', async () => {
    const clusterThresholds = { ...SETTINGS.clusterThresholds, clusters: 1 };
    const { proposal } = await shed({ ...SETTINGS, clusterThresholds, sparsity: 0.3 });
    const without = await shed({ plates: 'ffn', sparsity: 0.3 });
    expect(proposal.marks!.toJSON()).toEqual(without.proposal.marks!.toJSON());
  });

  it('count in a later wave what has gone, and take nothing back', async () => {
    const first = await shed({ ...SETTINGS, sparsity: 0.15 });
    const marks = first.proposal.marks!;
    const second = await shed({ ...SETTINGS, sparsity: 0.3 }, first.model, { marks, dense: session.model });
    expect(second.proposal.limit).toBeUndefined();
    const both = marks.with(second.proposal.marks!);
    const whole = await shed({ plates: 'ffn', sparsity: 0.3 });
    expect(counts(both)).toEqual(counts(whole.proposal.marks));
  });

  it('are refused for other plates, and for a fold that is not tried', async () => {
    await expect(shedEdit({ ...SETTINGS, plates: 'heads', sparsity: 0.2 })).rejects.toThrow(
      '--thresholds cluster is of single weights',
    );
    await expect(shedEdit({ ...SETTINGS, sparsity: 0.2, fold: 'flap' })).rejects.toThrow('not with --fold flap');
    await expect(shedEdit({ ...SETTINGS, thresholds: 'owl', sparsity: 0.2 })).rejects.toThrow(
      '--thresholds owl is of single',
    );
  });
});
