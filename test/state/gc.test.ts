import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collectGarbage, objectFile, type StateFolder, stateFolder } from '../../src/state/index.js';
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

  it('works on an output without a history', async () => {
    await plant();
    await rename(folder.root, `${folder.root}-gone`);
    expect(await collectGarbage(folder, { dryRun: false })).toEqual([]);
  });
});
