import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collectGarbage, lock, objectFile, type StateFolder, stateFolder } from '../../src/state/index.js';
import { Journal } from '../../src/state/journal.js';
import { ObjectStore, StoredLayerWriter } from '../../src/store/index.js';
import { memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

let root: string;
let folder: StateFolder;
let store: ObjectStore;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'birdbone-gc-'));
  folder = stateFolder(path.join(root, 'result'));
  store = new ObjectStore(folder.objects);
});
afterEach(() => rm(root, { recursive: true }));

const WEIGHTS = { w: { dtype: 'U8', shape: [8], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) } } as const;

/** Stores a layer that masks `w`; the files of it and of its delta, relative to the state folder. */
async function layerOf(wave: number, bits: number): Promise<{ name: string; sha256: string; files: string[] }> {
  const before = { checkpoint: memoryCheckpoint(WEIGHTS), layers: [] };
  const plan = { masks: [{ name: 'w', elements: 8 }], values: [] };
  const writer = new StoredLayerWriter(store, { wave, plan, before });
  await writer.writeMask('w', Uint8Array.of(bits));
  const { id, bytes } = await writer.commit();
  const { tensors } = JSON.parse(Buffer.from(await store.read(id, 0, bytes)).toString()) as {
    tensors: { object: string }[];
  };
  return { name: objectFile(id), sha256: id, files: [id, ...tensors.map(({ object }) => object)].map(objectFile) };
}

/** A run whose first wave was kept and whose second was not, and what a crash can leave beside them. */
async function plant() {
  const [kept, undone] = [await layerOf(1, 0b11111110), await layerOf(2, 0b11101110)];
  const torn = '.object.tmp-1a2b3c4d5e6f';
  await writeFile(path.join(folder.objects, torn), 'torn');
  await writeFile(path.join(folder.root, '.baseline.json.tmp-1a2b3c4d'), 'torn');
  await mkdir(folder.spill);
  await writeFile(path.join(folder.spill, 'hidden-states.bin'), 'spilled');
  const journal = await Journal.open(folder.journal, { repair: true });
  const wave = { type: 'wave', step: 0, layers: [], terms: [], figures: {} };
  await journal.append({ type: 'begin' });
  for (const [index, { name, sha256 }] of [kept, undone].entries()) {
    const verdict = index === 0 ? 'committed' : 'rolled-back';
    await journal.append({ ...wave, wave: index + 1, verdict, layer: { name, sha256 } });
  }
  return { kept, garbage: ['.baseline.json.tmp-1a2b3c4d', `objects/${torn}`, ...undone.files, 'spill'] };
}

const relative = (items: readonly { readonly path: string }[]) =>
  items.map((item) => path.relative(folder.root, item.path)).sort();

describe('collectGarbage', () => {
  it('removes what nothing refers to, and keeps what a rollback needs', async () => {
    const { kept, garbage } = await plant();
    expect(relative(await collectGarbage(folder, { dryRun: false }))).toEqual(garbage.sort());
    for (const file of kept.files) expect(existsSync(path.join(folder.root, file))).toBe(true);
    for (const file of garbage) expect(existsSync(path.join(folder.root, file))).toBe(false);
    expect(await collectGarbage(folder, { dryRun: false })).toEqual([]);
  });

  it('only says so in a dry run', async () => {
    const { garbage } = await plant();
    expect(relative(await collectGarbage(folder, { dryRun: true }))).toEqual(garbage.sort());
    for (const file of garbage) expect(existsSync(path.join(folder.root, file))).toBe(true);
  });

  it('keeps the progress of a run that may go on, and removes that of one that is over', async () => {
    const { garbage } = await plant();
    await mkdir(folder.progress);
    for (const name of ['wave-3.safetensors', '.wave-3.safetensors.tmp-1a2b3c4d5e6f'])
      await writeFile(path.join(folder.progress, name), 'progress');
    expect(relative(await collectGarbage(folder, { dryRun: false }))).toEqual(garbage.sort());
    const journal = await Journal.open(folder.journal, { repair: true });
    await journal.append({ type: 'finish', reached: true, reason: 'over' });
    expect(relative(await collectGarbage(folder, { dryRun: false }))).toEqual(['progress']);
    expect(existsSync(folder.progress)).toBe(false);
  });

  it('keeps what was written within the grace period, and by a clock that was ahead', async () => {
    const { garbage } = await plant();
    const now = Date.now() / 1000;
    const objects = garbage.filter((file) => file.startsWith('objects/'));
    const [old, torn, ahead] = objects.map((file) => path.join(folder.root, file)) as [string, string, string];
    for (const [file, age] of [
      [old, 7200],
      [torn, 3500],
      [ahead, -1e6],
    ] as const)
      await utimes(file, now, now - age);
    const found = await collectGarbage(folder, { dryRun: false, graceSeconds: 3600 });
    const young = found.filter((item) => item.young).map((item) => item.path);
    expect(young.sort()).toEqual([torn, ahead].sort());
    expect([old, torn, ahead].map((file) => existsSync(file))).toEqual([false, true, true]);
    await collectGarbage(folder, { dryRun: false, graceSeconds: 0 });
    expect([torn, ahead].map((file) => existsSync(file))).toEqual([false, false]);
  });

  it('counts an object as young again that a later wave stored again', async () => {
    await plant();
    const again = await layerOf(2, 0b11101110);
    const long = new Date('2020-01-01');
    for (const file of again.files) await utimes(path.join(folder.root, file), long, long);
    await layerOf(2, 0b11101110);
    const found = await collectGarbage(folder, { dryRun: false, graceSeconds: 3600 });
    for (const file of again.files)
      expect(found).toContainEqual(expect.objectContaining({ path: path.join(folder.root, file), young: true }));
  });

  it('removes nothing when something is missing that a state needs', async () => {
    const { kept, garbage } = await plant();
    for (const file of kept.files) {
      const full = path.join(folder.root, file);
      const bytes = await readFile(full);
      await rm(full);
      const refused = { code: 'mismatch', file: full, message: expect.stringMatching(/wave 1/) };
      await expect(collectGarbage(folder, { dryRun: false })).rejects.toMatchObject(refused);
      await writeFile(full, bytes.subarray(1));
      await expect(collectGarbage(folder, { dryRun: false })).rejects.toMatchObject(refused);
      await rm(full);
      await writeFile(full, bytes);
    }
    for (const file of garbage) expect(existsSync(path.join(folder.root, file))).toBe(true);
    await collectGarbage(folder, { dryRun: false });
  });

  it.each(['objects/notes.txt', 'objects/ab/notes.txt', 'spill/notes.txt', 'progress/notes.txt'])(
    'leaves all as it is beside %s',
    async (name) => {
      const { garbage } = await plant();
      const foreign = path.join(folder.root, name);
      await mkdir(path.dirname(foreign), { recursive: true });
      await writeFile(foreign, 'mine');
      await expect(collectGarbage(folder, { dryRun: false })).rejects.toMatchObject({ code: 'usage', file: foreign });
      for (const file of garbage) expect(existsSync(path.join(folder.root, file))).toBe(true);
    },
  );

  it.each(['', '{"seq":1,"at"'])('removes nothing when the journal is gone, or says nothing: %j', async (text) => {
    const { kept, garbage } = await plant();
    await writeFile(folder.journal, text);
    for (const remove of [false, true]) {
      if (remove) await rm(folder.journal, { force: true });
      const refused = { code: 'mismatch', file: folder.journal };
      await expect(collectGarbage(folder, { dryRun: true })).rejects.toMatchObject(refused);
      await expect(collectGarbage(folder, { dryRun: false })).rejects.toMatchObject(refused);
    }
    for (const file of [...kept.files, ...garbage]) expect(existsSync(path.join(folder.root, file))).toBe(true);
  });

  it('works on an output without a history', async () => {
    await plant();
    await rename(folder.root, `${folder.root}-gone`);
    expect(await collectGarbage(folder, { dryRun: false })).toEqual([]);
  });

  describe('of a search', () => {
    const candidate = '0123456789abcdef';
    /** A candidate that was made, scores and a lock that was left. */
    async function plantSearch(names = [`${candidate}/model/model.safetensors`, 'scores.json']) {
      for (const name of names) {
        await mkdir(path.join(folder.search, path.dirname(name)), { recursive: true });
        await writeFile(path.join(folder.search, name), 'made');
      }
    }
    /** The run that the search led to, published or not. */
    async function plantRun(...more: readonly string[]) {
      await mkdir(folder.root, { recursive: true });
      const journal = await Journal.open(folder.journal, { repair: true });
      for (const type of ['begin', ...more]) await journal.append({ type, ...FIELDS[type] });
    }
    const FIELDS: Readonly<Record<string, object>> = {
      finish: { reached: true, reason: 'every target reached' },
      published: { manifest: '0'.repeat(64) },
      evidence: { files: { json: 'result.diff.json', markdown: 'result.diff.md' } },
    };

    it('keeps the candidates until its run is published with all that belongs to it, then removes them', async () => {
      await plantSearch();
      await plantRun('finish', 'publish', 'published');
      expect(await collectGarbage(folder, { dryRun: false })).toEqual([]);
      expect(existsSync(path.join(folder.search, candidate))).toBe(true);

      const journal = await Journal.open(folder.journal, { repair: true });
      await journal.append({ type: 'evidence', ...FIELDS['evidence'] });
      const expected = [candidate, 'scores.json'].map((name) => path.join(folder.search, name));
      const said = await collectGarbage(folder, { dryRun: true });
      expect(said.map((item) => item.path)).toEqual(expected);
      expect(said.map(({ bytes }) => bytes)).toEqual([4, 4]);
      expect(existsSync(path.join(folder.search, candidate))).toBe(true);
      const young = await collectGarbage(folder, { dryRun: false, graceSeconds: 3600 });
      expect(young.map((item) => item.young)).toEqual([true, true]);
      expect(await collectGarbage(folder, { dryRun: false })).toEqual(said);
      expect(existsSync(folder.search)).toBe(false);
    });

    it('leaves everything where a file lies that no search has made, or a search is under way', async () => {
      await plantRun('finish', 'publish', 'published', 'evidence');
      await plantSearch([`${candidate}/model/config.json`, 'notes.txt']);
      const collected = collectGarbage(folder, { dryRun: false });
      await expect(collected).rejects.toMatchObject({ code: 'usage', file: path.join(folder.search, 'notes.txt') });
      expect(existsSync(path.join(folder.search, candidate))).toBe(true);

      await rm(path.join(folder.search, 'notes.txt'));
      const release = await lock(folder.search);
      await expect(collectGarbage(folder, { dryRun: false })).rejects.toMatchObject({ code: 'usage' });
      await release();
      expect((await collectGarbage(folder, { dryRun: false })).length).toBe(1);
    });
  });
});
