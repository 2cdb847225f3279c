import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, readFloats } from '../../src/checkpoint/index.js';
import type { Event } from '../../src/events.js';
import { readManifest, verifyFolder } from '../../src/manifest/index.js';
import { openModel } from '../../src/model/index.js';
import { checkState, collectGarbage, stateFolder } from '../../src/state/index.js';
import { exportState, openState, planRollback, rollbackTo } from '../../src/waves/index.js';
import { at, go, inWorkplaces } from '../fixtures/runs.js';
import { contentsOf } from '../fixtures/workplace.js';

inWorkplaces();

const PRUNE = { do: 'prune', sparsity: 0.3, metric: 'magnitude', waves: 1 };
const SHED = { do: 'prune', sparsity: 0.2, plates: 'ffn', waves: 1 };
const QUANTIZE = { do: 'quantize', scheme: 'int4', groupSize: 4 };
const NATIVE = { output: { format: 'native' } };
const UP = 'model.layers.0.mlp.up_proj.weight';

const open = async (folder: string) => {
  const model = await openModel(folder);
  await model.checkpoint.close();
  return model;
};

describe('a run of several kinds of steps', () => {
  it('quantizes the model as it was cut, and goes back and forth between all of its states', {
    timeout: 60_000,
  }, async () => {
    const { out, waves, reached } = await go({ steps: [SHED, QUANTIZE], ...NATIVE });
    expect({ reached, shapes: waves.map(({ shapes }) => shapes) }).toEqual({
      reached: true,
      shapes: [undefined, 'final'],
    });
    const { decoder } = await open(out);
    expect(decoder.ffn).toBeLessThan(44);
    const stored = await openCheckpoint(out);
    await stored.close();
    // Two codes a byte, of rows as long as what is left of the FFN.
    expect(stored.tensors.get('model.layers.0.mlp.down_proj.weight')).toMatchObject({
      dtype: 'U8',
      shape: [32, Math.ceil(decoder.ffn / 2)],
    });
    expect(await verifyFolder(out)).toMatchObject({ matches: true });
    const both = contentsOf(out);

    const plan = await planRollback({ out, to: 1 });
    await rollbackTo({ out, to: 1, diffs: at('diffs') });
    expect((await openCheckpointOf(out)).tensors.get(UP)).toMatchObject({ dtype: 'F32', shape: [decoder.ffn, 32] });
    expect(plan.weightBytes.after).toBe(await weightBytes(out));
    await rollbackTo({ out, to: 0, diffs: at('diffs') });
    expect((await open(out)).decoder.ffn).toBe(44);
    await rollbackTo({ out, to: 2, diffs: at('diffs') });
    expect(contentsOf(out)).toEqual(both);

    await exportState({ reference: `${out}@2`, out: at('out/again') });
    for (const name of ['model.safetensors', 'config.json']) expect(contentsOf(at('out/again'))[name]).toBe(both[name]);
    await collectGarbage(stateFolder(out), { dryRun: false });
    expect(await checkState(stateFolder(out), { readData: true })).toMatchObject({ sound: true, findings: [] });
  });

  it('measures what is published: the dense weights that the codes stand for', async () => {
    const { out } = await go({ steps: [QUANTIZE], ...NATIVE });
    const state = await openState(`${out}@1`);
    const published = await openModel(out);
    for (const name of published.checkpoint.tensors.keys()) {
      expect(await readFloats(published.checkpoint, name), name).toEqual(await readFloats(state.checkpoint, name));
    }
    await published.checkpoint.close();
    await state.checkpoint.close();
    const { manifest } = await readManifest(out);
    expect(manifest.tensors.map(({ name }) => name)).toContain(`${UP}_scale`);
    const diff = JSON.parse(await readFile(at('diffs/half.diff.json'), 'utf8')) as { tensors: { name: string }[] };
    expect(diff.tensors.map(({ name }) => name)).not.toContain(`${UP}_scale`);
  });

  it('takes a coded weight back with its parts, by any of their names, and not without them', async () => {
    const { out } = await go({ steps: [PRUNE, QUANTIZE], ...NATIVE });
    await rollbackTo({ out, to: 1, tensors: [`${UP}_scale`], diffs: at('diffs') });
    const { tensors } = await openCheckpointOf(out);
    expect([...tensors.keys()].filter((name) => name.startsWith(UP))).toEqual([UP]);
    expect(tensors.get(UP)).toMatchObject({ dtype: 'F32', shape: [44, 32] });
    expect(tensors.get('model.layers.1.mlp.up_proj.weight')).toMatchObject({ dtype: 'U8' });
    expect(await verifyFolder(out)).toMatchObject({ matches: true });
    await rollbackTo({ out, to: 2, tensors: ['*'], diffs: at('diffs') });
    expect((await openCheckpointOf(out)).tensors.get(UP)).toMatchObject({ dtype: 'U8' });
  });

  it('ends in the same bytes wherever it is interrupted, as a folder and as one file', {
    timeout: 120_000,
  }, async () => {
    const isWave = (wave: number) => (event: Event) => event.type === 'wave' && event.wave === wave;
    const isWriting = (event: Event) => event.type === 'progress' && event.stage === 'write' && event.done > 0;
    for (const [name, ...moments] of [
      ['half', isWave(1), isWriting],
      ['half.gguf', isWave(2), isWriting],
    ] as const) {
      const steps = [SHED, name === 'half' ? QUANTIZE : { do: 'quantize', scheme: 'q8_0' }];
      const whole = await go({ steps, out: at(`whole/${name}`) });
      for (const [index, isMoment] of moments.entries()) {
        const out = at(`out${index}/${name}`);
        const controller = new AbortController();
        const report = (event: Event) => {
          if (isMoment(event)) controller.abort();
        };
        await expect(go({ steps, out }, { report, signal: controller.signal })).rejects.toMatchObject({
          code: 'interrupted',
        });
        expect(existsSync(out)).toBe(false);
        await go({ steps, out }, { resume: true });
        if (name === 'half') expect(contentsOf(out)).toEqual(contentsOf(whole.out));
        else expect((await readFile(out)).equals(await readFile(whole.out))).toBe(true);
      }
    }
  });

  it('publishes a GGUF with its manifest inside, which is held against it', async () => {
    const out = at('out/half.gguf');
    const result = await go({ steps: [PRUNE, { do: 'quantize', scheme: 'q8_0' }], out });
    expect(result.manifest).toBe(out);
    expect(await verifyFolder(out)).toMatchObject({ matches: true, findings: [] });
    const { manifest } = await readManifest(out);
    expect(manifest.tensors.find(({ name }) => name === 'blk.0.attn_q.weight')).toMatchObject({ dtype: 'Q8_0' });
    await rollbackTo({ out, to: 1, diffs: at('diffs') });
    expect((await openCheckpointOf(out)).tensors.get('blk.0.attn_q.weight')).toMatchObject({ dtype: 'F32' });
    expect(await verifyFolder(out)).toMatchObject({ matches: true, findings: [] });
  });

  it('leaves a file alone that it has not made', async () => {
    const out = at('models/fledgling/note.gguf');
    await writeFile(out, 'mine');
    await expect(go({ steps: [PRUNE], out }, { restart: true })).rejects.toMatchObject({ code: 'usage' });
    expect(await readFile(out, 'utf8')).toBe('mine');
  });
});

async function openCheckpointOf(folder: string) {
  const checkpoint = await openCheckpoint(folder);
  await checkpoint.close();
  return checkpoint;
}

async function weightBytes(folder: string): Promise<number> {
  const { tensors } = await openCheckpointOf(folder);
  return [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}
