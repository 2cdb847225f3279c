import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/index.js';
import type { Event } from '../../src/events.js';
import { readManifest, verifyFolder } from '../../src/manifest/index.js';
import { openModel } from '../../src/model/index.js';
import { checkState, collectGarbage, Journal, stateFolder } from '../../src/state/index.js';
import { exportState, openState, planRollback, rollbackTo, tagState } from '../../src/waves/index.js';
import { CHANNELS, plantModel, shed, sheddingEdit } from '../fixtures/planted.js';
import { at, inWorkplaces } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

/** Two waves, of 32 and 64 plates, none of which does harm: the signal is in the last channel. */
const TWO_WAVES = { steps: [{ do: 'prune', sparsity: 0.5, waves: 2, metric: 'magnitude', schedule: 'linear' }] };

async function shedTwice(options: Parameters<typeof shed>[2] = {}) {
  plantModel([{ block: 0, channel: CHANNELS - 1 }]);
  return shed(sheddingEdit(1), TWO_WAVES, options);
}

const widthsIn = async (folder: string) => {
  const model = await openModel(folder);
  await model.checkpoint.close();
  return model.decoder.blocks.map(({ ffn }) => ffn);
};

describe('a run that sheds plates', () => {
  it('publishes smaller tensors, and keeps every state at hand', { timeout: 60_000 }, async () => {
    const { out } = await shedTwice();
    expect(await widthsIn(out)).toEqual([CHANNELS - 32, CHANNELS - 32]);
    expect(await verifyFolder(out)).toMatchObject({ matches: true });
    const { manifest } = await readManifest(out);
    expect(manifest.waves).toMatchObject([
      { plates: { 'ffn-channel': { '0': '0-31' } } },
      { plates: { 'ffn-channel': { '1': '0-31' } } },
    ]);
    const cut = contentsOf(out);
    // Back to the first wave, to the dense model, and forward again: each in its own shapes, the last in the same bytes.
    const plan = await planRollback({ out, to: 1 });
    await rollbackTo({ out, to: 1, diffs: at('diffs') });
    expect(await widthsIn(out)).toEqual([CHANNELS - 32, CHANNELS]);
    expect(plan.weightBytes.after).toBe(await weightBytes(out));
    await exportState({ reference: `${out}@2`, out: at('out/again') });
    await rollbackTo({ out, to: 0, diffs: at('diffs') });
    expect(await widthsIn(out)).toEqual([CHANNELS, CHANNELS]);
    expect((await openModelBytes(out)).equals(await openModelBytes(at('models/fledgling')))).toBe(true);
    await rollbackTo({ out, to: 2, diffs: at('diffs') });
    expect(contentsOf(out)).toEqual(cut);
    expect(await widthsIn(at('out/again'))).toEqual([CHANNELS - 32, CHANNELS - 32]);
    const own = ['model.safetensors', 'config.json'];
    for (const name of own) expect(contentsOf(at('out/again'))[name]).toBe(cut[name]);
  });

  it('opens a state at its full shapes, to be compared with the dense model', async () => {
    const { out } = await shedTwice();
    const state = await openState(`${out}@1`);
    const { shape } = state.checkpoint.tensors.get('model.layers.0.mlp.up_proj.weight')!;
    expect(shape).toEqual([CHANNELS, 32]);
    const bytes = await state.checkpoint.read('model.layers.0.mlp.up_proj.weight', { offset: 0, length: 32 * 32 * 4 });
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    await state.checkpoint.close();
  });

  it('takes no single tensors back, and says why', async () => {
    const { out } = await shedTwice();
    const tensors = ['*up_proj*'];
    const refusal = {
      code: 'usage',
      message: expect.stringMatching(
        /Wave 1 has shed plates \(ffn-channel\), each of which is slices of several tensors/,
      ),
    };
    await expect(rollbackTo({ out, to: 0, tensors })).rejects.toMatchObject(refusal);
    await expect(planRollback({ out, to: 0, tensors })).rejects.toMatchObject(refusal);
  });

  it('passes check and gc, and a tag keeps the state that it names', async () => {
    const { out } = await shedTwice();
    const folder = stateFolder(out);
    await tagState({ out, name: 'first', at: 1 });
    await rollbackTo({ out, to: 0, diffs: at('diffs') });
    await collectGarbage(folder, { dryRun: false });
    expect(await checkState(folder, { readData: true })).toMatchObject({ sound: true, findings: [] });
    await rollbackTo({ out, to: 'first', diffs: at('diffs') });
    expect(await widthsIn(out)).toEqual([CHANNELS - 32, CHANNELS]);
  });

  it('cannot give its base back, and says so', async () => {
    const { out } = await shedTwice();
    await rename(at('models/fledgling'), at('models/gone'));
    const before = contentsOf(out);
    await expect(rollbackTo({ out, to: 1, diffs: at('diffs') })).rejects.toThrow(/plates were cut out of it/);
    await expect(planRollback({ out, to: 1 })).rejects.toMatchObject({ code: 'unreadable' });
    expect(contentsOf(out)).toEqual(before);
  });

  it('ends in the same bytes wherever it is interrupted', { timeout: 60_000 }, async () => {
    plantModel([{ block: 0, channel: 17 }]);
    const whole = await shed(sheddingEdit(1), { out: at('whole/half') });
    const isWave = (event: Event, verdict: string) => event.type === 'wave' && event.verdict === verdict;
    const moments: readonly ((event: Event) => boolean)[] = [
      // In the middle of the search for what did harm.
      (event) => event.type === 'progress' && event.stage === 'search' && event.done > 3,
      // Between the rollback and the repaired wave, and before the result is published.
      (event) => isWave(event, 'rolled-back'),
      (event) => isWave(event, 'committed'),
    ];
    for (const [index, isMoment] of moments.entries()) {
      const out = at(`out${index}/half`);
      const controller = new AbortController();
      const report = (event: Event) => {
        if (isMoment(event)) controller.abort();
      };
      const stopped = shed(sheddingEdit(1), { out }, { report, signal: controller.signal });
      await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
      expect(existsSync(out)).toBe(false);
      const resumed = await shed(sheddingEdit(1), { out }, { resume: true });
      expect(contentsOf(resumed.out)).toEqual(contentsOf(whole.out));
    }
  });
});

describe('plates in a journal', () => {
  const many = Object.fromEntries(Array.from({ length: 100_001 }, (_, index) => [String(index), '0']));
  const cases: readonly (readonly [string, unknown, RegExp])[] = [
    ['a list', ['0-3'], /no valid field "plates"/],
    ['numbers', { 'ffn-channel': { '0': 3 } }, /no valid field "plates"/],
    ['deeper than it can be', { 'ffn-channel': { '0': { '0': { '0': '1' } } } }, /no valid field "plates"/],
    ['more than there can be', { 'ffn-channel': many }, /no valid field "plates"/],
    ['of a kind that is none', { wings: { '0': '1' } }, /wave 1 of the journal.*wings/],
    ['of a block that is none', { 'ffn-channel': { '9': '1' } }, /wave 1 of the journal.*block/],
    ['beyond the last channel', { 'ffn-channel': { '0': '0-999999999' } }, /wave 1 of the journal/],
  ];

  it('are refused when no run has written them, and nothing is touched', async () => {
    const { out } = await shedTwice();
    const { journal } = stateFolder(out);
    const { records } = await Journal.open(journal, { repair: false });
    const before = contentsOf(out);
    for (const [what, plates, message] of cases) {
      // Written again with its digests, as somebody might who can compute them.
      const [first, ...rest] = records.map(({ seq: _, at: __, digest: ___, ...body }) =>
        body.type === 'wave' ? { ...body, plates } : body,
      );
      const forged = await Journal.begin(journal, first!);
      for (const body of rest) await forged.append(body);
      const going = rollbackTo({ out, to: 1, diffs: at('diffs') });
      await expect(going, what).rejects.toMatchObject({ code: 'unreadable', message: expect.stringMatching(message) });
      expect(contentsOf(out)).toEqual(before);
    }
  });
});

async function weightBytes(folder: string): Promise<number> {
  const checkpoint = await openCheckpoint(folder);
  await checkpoint.close();
  return [...checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

async function openModelBytes(folder: string): Promise<Buffer> {
  const checkpoint = await openCheckpoint(folder);
  const parts: Uint8Array[] = [];
  for (const name of [...checkpoint.tensors.keys()].sort()) parts.push(await checkpoint.read(name));
  await checkpoint.close();
  return Buffer.concat(parts);
}
