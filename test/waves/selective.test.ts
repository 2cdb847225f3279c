import { describe, expect, it } from 'vitest';
import { verifyFolder } from '../../src/manifest/index.js';
import { openModel } from '../../src/model/index.js';
import type { EditContext } from '../../src/pruning/index.js';
import { readLog } from '../../src/waves/index.js';
import {
  CHANNELS,
  candidates,
  type Planted,
  plantModel,
  SHED_CHANNELS,
  shed,
  sheddingEdit,
} from '../fixtures/planted.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';

inWorkplaces();

const HARMFUL: Planted = { block: 0, channel: 17 };
const wavesOf = async () => (await readLog({ out: at('out/half') })).history.waves;

describe('selective rollback', () => {
  it('restores only the one harmful plate of a wave of 64, and keeps the rest', async () => {
    plantModel([HARMFUL]);
    const seen: EditContext[] = [];
    const result = await shed(sheddingEdit(1, seen));
    const [failed, kept, ...more] = await wavesOf();
    expect(more).toEqual([]);
    expect(failed).toMatchObject({
      verdict: 'rolled-back',
      target: 1,
      selective: { outcome: 'found', plates: 64, culpritCount: 1, culprits: { 'ffn-channel': { '0': '17' } } },
    });
    expect(failed!.selective!.measurements).toBeLessThanOrEqual(14);
    expect(failed!.reason).toMatch(/accuracy loss .* is above 3 %.*; ffn-channel:0:17 of its 64 plates did it/);
    // The same wave again, without it.
    expect(kept).toMatchObject({ verdict: 'committed', target: 1, figures: { accuracyLoss: 0 } });
    expect(kept!.plates).toEqual({ 'ffn-channel': { '0': '0-16,18-31', '1': '0-31' } });
    expect([...seen[1]!.spared.ids()]).toEqual(['ffn-channel:0:17']);
    expect(result.reached).toBe(true);
    // What is published is smaller by 63 channels, and sound.
    const model = await openModel(result.out);
    expect(model.decoder.blocks.map(({ ffn }) => ffn)).toEqual([
      CHANNELS - SHED_CHANNELS + 1,
      CHANNELS - SHED_CHANNELS,
    ]);
    await model.checkpoint.close();
    expect(await verifyFolder(result.out)).toMatchObject({ matches: true });
  });

  it('restores what shedding could not know to be needed, folds and all, and takes another in its place', async () => {
    // The channel is silent on the text that shedding looks at, so it is the first to go.
    plantModel([HARMFUL], { onlyAfterB: true });
    const step = { do: 'prune', plates: 'ffn', sparsity: 0.3, waves: 1, schedule: 'constant' };
    const file = at('models/fledgling/evaluation.txt');
    const { out } = await go({ maxDrop: 0.03, evaluation: { file, limit: 4, context: 32 }, steps: [step] });
    const [failed, kept, ...more] = await wavesOf();
    expect(more).toEqual([]);
    expect(failed!.plates).toMatchObject({ 'ffn-channel': { '0': expect.stringMatching(/\b17\b|-/) } });
    expect(failed).toMatchObject({
      verdict: 'rolled-back',
      selective: { outcome: 'found', culpritCount: 1, culprits: { 'ffn-channel': { '0': '17' } } },
    });
    expect(kept).toMatchObject({ verdict: 'committed', figures: { accuracyLoss: 0 } });
    // As many as were asked for, and the one not among them.
    const model = await openModel(out);
    await model.checkpoint.close();
    const [width, other] = model.decoder.blocks.map(({ ffn }) => ffn);
    expect(width).toBe(other);
    const shedWidth = CHANNELS - width!;
    expect(failed!.selective!.plates).toBe(2 * shedWidth);
    expect(shedWidth).toBeGreaterThan(10);
  });

  it('leaves it at the ordinary rollback where plates do harm only together', async () => {
    // Each of two channels says all there is to say: either may go.
    plantModel([HARMFUL, { block: 1, channel: 30 }]);
    await shed(sheddingEdit(1));
    const [failed, ...later] = await wavesOf();
    expect(failed).toMatchObject({ verdict: 'rolled-back', selective: { outcome: 'together', culpritCount: 0 } });
    // Half of the plates are those of block 0, and one channel is enough.
    expect(later[0]).toMatchObject({ target: 0.5, verdict: 'committed' });
  });

  it('searches nothing where one plate is all there is, or nothing fails', async () => {
    plantModel([{ block: 0, channel: 0 }]);
    const share = 1 / candidates(await openedModel()).length;
    await expect(shed(sheddingEdit(share))).rejects.toMatchObject({ code: 'gate-failed' });
    expect((await wavesOf())[0]).toMatchObject({ verdict: 'rolled-back', plates: { 'ffn-channel': { '0': '0' } } });
    expect((await wavesOf())[0]!.selective).toBeUndefined();
  });
});

async function openedModel() {
  const model = await openModel(at('models/fledgling'));
  await model.checkpoint.close();
  return model;
}
