import { describe, expect, it } from 'vitest';
import { verifyFolder } from '../../src/manifest/index.js';
import { openModel } from '../../src/model/index.js';
import { checkState, collectGarbage, Journal, stateFolder } from '../../src/state/index.js';
import { openDevice } from '../../src/tensor/index.js';
import { exportState, openState, rollbackTo } from '../../src/waves/index.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';
import { logitsOf } from '../model/logits.js';
import { randomWindows } from '../pruning/shed-once.js';
import { TINY_LLAMA, tinyModel, writeTinyModel } from '../reference/tiny-model.js';
import { furthest } from '../shedding/shed-states.js';

inWorkplaces();

const FLAP = {
  steps: [{ do: 'prune', plates: 'ffn', sparsity: 0.3, waves: 2, schedule: 'linear', fold: 'flap' }],
};

async function logits(folder: string): Promise<Float32Array[]> {
  const device = await openDevice('cpu');
  const model = await openModel(folder);
  const found = await logitsOf(
    model,
    randomWindows(3, 3).map(({ ids }) => ids),
    device,
  );
  await model.checkpoint.close();
  await device.close();
  return found;
}

const biasesIn = async (folder: string) => {
  const { checkpoint, decoder } = await openModel(folder);
  await checkpoint.close();
  return { biases: [...checkpoint.tensors.keys()].filter((name) => name.endsWith('.bias')), ffn: decoder.ffn };
};

describe('a run that keeps what it sheds as biases', () => {
  it('publishes them, and every state with its own', { timeout: 60_000 }, async () => {
    const { out, result } = await go(FLAP);
    expect(await verifyFolder(out)).toMatchObject({ matches: true });
    const { biases, ffn } = await biasesIn(out);
    expect(biases).toEqual(
      [0, 1].flatMap((block) => ['down', 'gate', 'up'].map((name) => `model.layers.${block}.mlp.${name}_proj.bias`)),
    );
    expect(ffn).toBeLessThan(44);
    expect(result['perplexity']).toBeGreaterThan(1);
    const [cut, after] = [contentsOf(out), await logits(out)];

    await exportState({ reference: `${out}@1`, out: at('out/first') });
    expect((await biasesIn(at('out/first'))).ffn).toBeGreaterThan(ffn);
    expect(furthest(await logits(at('out/first')), after)).toBeGreaterThan(1e-3);

    await rollbackTo({ out, to: 0, diffs: at('diffs') });
    expect(await biasesIn(out)).toEqual({ biases: [], ffn: 44 });
    expect(furthest(await logits(out), await logits(at('models/fledgling')))).toBe(0);
    await rollbackTo({ out, to: 2, diffs: at('diffs') });
    expect(contentsOf(out)).toEqual(cut);
  });

  it('shows a state at its full shapes with the biases that it has', async () => {
    const { out } = await go(FLAP);
    const state = await openState(`${out}@1`);
    const names = [...state.checkpoint.tensors.keys()].filter((name) => name.endsWith('.bias'));
    expect(names).toEqual([0, 1].map((block) => `model.layers.${block}.mlp.down_proj.bias`));
    expect((await state.checkpoint.read(names[0]!)).some((byte) => byte !== 0)).toBe(true);
    await state.checkpoint.close();
    await collectGarbage(stateFolder(out), { dryRun: false });
    expect(await checkState(stateFolder(out), { readData: true })).toMatchObject({ sound: true, findings: [] });
  });

  it('ends in the same bytes when it is interrupted between waves', { timeout: 60_000 }, async () => {
    const whole = await go({ ...FLAP, out: at('whole/half') });
    const controller = new AbortController();
    const stopped = go(FLAP, {
      signal: controller.signal,
      report: (event) => {
        if (event.type === 'wave') controller.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
    const resumed = await go(FLAP, { resume: true });
    expect(contentsOf(resumed.out)).toEqual(contentsOf(whole.out));
  });
});

describe('a run that is to shed more than may go', () => {
  const wavesOf = async (out: string) => {
    const { records } = await Journal.open(stateFolder(out).journal, { repair: false });
    return records.filter(({ type }) => type === 'wave' || type === 'finish');
  };

  it('sheds what may go by smaller steps, and says where it ends', { timeout: 60_000 }, async () => {
    // Of four blocks the first and the last stay: three are too many.
    writeTinyModel(tinyModel({ ...TINY_LLAMA, num_hidden_layers: 4 }), at('models/fledgling'));
    const steps = [{ do: 'prune', plates: 'blocks', sparsity: 0.75, waves: 1, minStep: 0.2 }];
    const { out } = await go({ steps });
    const records = await wavesOf(out);
    expect(records[0]).toMatchObject({ verdict: 'rolled-back', limit: true, target: 0.75 });
    expect(records[0]!['reason']).toMatch(/^3 plates of kind block are to go, and 2 may/);
    expect(records[1]).toMatchObject({ verdict: 'committed', target: 0.375 });
    expect(records.at(-1)).toMatchObject({ type: 'finish', reached: false, reason: 'no more of it may go' });
    const model = await openModel(out);
    await model.checkpoint.close();
    expect(model.decoder.blocks).toHaveLength(2);
  });

  it('publishes nothing where no step is small enough', async () => {
    writeTinyModel(tinyModel({ ...TINY_LLAMA, num_hidden_layers: 4 }), at('models/fledgling'));
    const steps = [{ do: 'prune', plates: 'blocks', sparsity: 0.75, waves: 1, minStep: 0.5 }];
    await expect(go({ steps })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/smallest tried, to sparsity 0.750: 3 plates of kind block/),
      suggestions: expect.arrayContaining([expect.stringContaining('--aggressiveness')]),
    });
  });
});
