import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allocations } from '../../src/allocation/index.js';
import { readCalibration, readPassages } from '../../src/corpus/index.js';
import { scorePassages, summarize } from '../../src/evaluation/index.js';
import { loadTokenizer, type Model, openModel } from '../../src/model/index.js';
import { pruneEdit } from '../../src/pruning/index.js';
import { type Device, openDevice } from '../../src/tensor/index.js';
import { type TinySession, tinySession } from '../evidence/tiny-session.js';
import { pruneOurs } from '../reference/our-pruning.js';
import { TINY_LLAMA, tinyModel } from '../reference/tiny-model.js';
import { sharedData, sharedMissing, sharedModel } from '../shared.js';

const MEASURED = ['owl', 'error', 'evolve'];

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu');
});
afterAll(() => device.close());

describe('a measured allocation', () => {
  let session: TinySession;
  beforeAll(async () => {
    const config = { ...TINY_LLAMA, hidden_size: 16, intermediate_size: 28, vocab_size: 31 };
    session = await tinySession(tinyModel(config, 2), [24, 24, 17]);
  });
  afterAll(() => session.close());

  const calibration = () => session.sequences.map((ids) => ({ ids }));
  const gone = ({ decoder }: Model, masks: ReadonlyMap<string, Uint8Array>) =>
    decoder.blocks
      .flatMap(({ linears }) => linears)
      .map(({ weight, rows, columns }) => {
        const bits = masks.get(weight)!;
        const indices = Array.from({ length: rows * columns }, (_, i) => 1 - ((bits[i >>> 3]! >>> (i & 7)) & 1));
        return indices.reduce((sum, removed) => sum + removed, 0);
      });
  const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

  it.each(MEASURED)(
    '%s removes exactly the budget, unevenly, the same at every run, and leaves the device as it was',
    async (thresholds) => {
      const before = device.memory();
      const settings = { method: 'wanda' as const, pattern: '70%', thresholds, calibration: calibration(), device };
      const counts: number[][] = [];
      for (let run = 0; run < 2; run += 1)
        counts.push(gone(session.model, (await pruneOurs(session.model, settings)).masks));
      const linears = session.model.decoder.blocks.flatMap((block) => block.linears);
      const elements = sumOf(linears.map(({ rows, columns }) => rows * columns));
      expect(sumOf(counts[0]!)).toBe(Math.floor(0.7 * elements + 1e-9));
      expect(counts[1]).toEqual(counts[0]);
      const sparsities = counts[0]!.map((count, i) => count / (linears[i]!.rows * linears[i]!.columns));
      expect(Math.max(...sparsities) - Math.min(...sparsities)).toBeGreaterThan(0.02);
      expect(device.memory()).toEqual(before);
    },
  );

  it.each(['sparsegpt', 'wanda + refit'] as const)('meets the budget by %s, too', async (method) => {
    const settings = { method, pattern: '60%', thresholds: 'owl', calibration: calibration(), device };
    const { masks } = await pruneOurs(session.model, settings);
    const linears = session.model.decoder.blocks.flatMap((block) => block.linears);
    const elements = sumOf(linears.map(({ rows, columns }) => rows * columns));
    expect(sumOf(gone(session.model, masks))).toBe(Math.floor(0.6 * elements + 1e-9));
  });

  it('has nothing to divide where groups of M or all matrices together decide, and says so before any work', async () => {
    const settings = { metric: 'wanda', thresholds: 'owl' };
    await expect(pruneEdit({ ...settings, pattern: '2:4' })).rejects.toThrow(
      'The pattern 2:4 leaves nothing to divide',
    );
    const across = pruneEdit({ ...settings, pattern: 'unstructured', sparsity: 0.5, compare: 'global' });
    await expect(across).rejects.toThrow('--compare global leaves nothing to divide');
    await expect(pruneEdit({ ...settings, pattern: 'unstructured', sparsity: 0.5, thresholds: 'ol' })).rejects.toThrow(
      `There is no allocation "ol". Known: ${allocations.names.join(', ')}.`,
    );
  });

  it('needs calibration text, whatever the metric', async () => {
    const settings = { metric: 'magnitude', pattern: 'unstructured', sparsity: 0.5 };
    expect((await pruneEdit({ ...settings, thresholds: 'error' })).needsCalibration).toBe(true);
    expect((await pruneEdit({ ...settings, thresholds: 'uniform' })).needsCalibration).toBe(false);
  });
});

describe.skipIf(sharedMissing !== undefined)(sharedMissing ?? 'tinystories-656k at 70 %', () => {
  /** Fewer windows than the table in docs/allocation-table.md, which has all of them. */
  const WINDOWS = 16;
  const TEXT = { context: 128, maxContext: 512 };

  async function perplexity(thresholds: string): Promise<number> {
    const folder = sharedModel('tinystories-656k');
    const [model, tokenizer] = [await openModel(folder), await loadTokenizer(folder)];
    const data = (file: string) => sharedData('tinystories-1000', file);
    const { passages: calibration } = await readCalibration(data('calibration.txt'), tokenizer, {
      ...TEXT,
      windows: WINDOWS,
    });
    const pruned = await pruneOurs(model, { method: 'wanda', pattern: '70%', thresholds, calibration, device });
    const evaluation = { ...TEXT, protocol: 'windows' as const, limit: WINDOWS };
    const { passages } = await readPassages(data('eval.txt'), tokenizer, evaluation);
    const room = { memoryBytes: 2 ** 30, spillFolder: tmpdir() };
    const { scores } = await scorePassages(pruned.model, passages, { device, ...room });
    await model.checkpoint.close();
    return summarize(scores, { seed: 0 }).perplexity;
  }

  it('is far better by OWL and by measured errors than uniformly pruned', async () => {
    const uniform = await perplexity('uniform');
    expect(await perplexity('owl')).toBeLessThan(0.8 * uniform);
    expect(await perplexity('error')).toBeLessThan(0.8 * uniform);
  });
});
