import { chmod, copyFile, cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Journal, stateFolder } from '../../src/state/index.js';
import { checkIn, filesOf, inStateFolders, type Planted, plant } from '../fixtures/state-of-waves.js';

const place = inStateFolders();

describe('checkState', () => {
  it('says what there is when all is sound', async () => {
    const planted = await plant(place, { 'a.weight': 40, 'b.weight': 24 }, 2);
    const files = await Promise.all(filesOf(planted).map((file) => readFile(file)));
    await place.store.put(Buffer.from('nobody needs it'));
    expect(await checkIn(place)).toEqual({
      out: place.folder.out,
      state: place.folder.root,
      sound: true,
      readData: true,
      records: 4,
      waves: [1, 2],
      objects: 6,
      bytes: files.reduce((sum, { length }) => sum + length, 0),
      unreferenced: { files: 1, bytes: 15 },
      findings: [],
    });
    expect(await checkIn(place, false)).toMatchObject({ sound: true, readData: false });
  });

  it('looks through the candidates of a search as well', async () => {
    await plant(place, { 'a.weight': 40 }, 1);
    const candidate = stateFolder(path.join(place.folder.search, '0123456789abcdef', 'model'));
    await cp(place.folder.root, candidate.root, { recursive: true });
    const { search, sound, bytes } = await checkIn(place);
    expect({ search, sound }).toEqual({ search: { folder: place.folder.search, candidates: 1, bytes }, sound: true });
    const [shard] = await readdir(candidate.objects);
    await rm(path.join(candidate.objects, shard!), { recursive: true });
    const { findings, sound: still } = await checkIn(place, false);
    expect(still).toBe(false);
    expect(findings).toMatchObject([{ problem: 'missing', affected: [], states: [] }]);
    expect(findings[0]!.file).toContain(place.folder.search);
    expect(findings[0]!.detail).toContain('of a candidate of the search');
  });

  it('finds objects that changed places, and those that are gone, copied or zeroed', async () => {
    const planted = await plant(place, { 'a.weight': 40, 'b.weight': 40 }, 2);
    const [first, second] = planted as [Planted, Planted];
    const [one, two] = [first.deltas['a.weight']!, first.deltas['b.weight']!];
    const swap = async () => {
      await rename(one, path.join(place.root, 'aside'));
      await rename(two, one);
      await rename(path.join(place.root, 'aside'), two);
    };
    await swap();
    const swapped = (await checkIn(place)).findings.map(({ file, problem }) => [file, problem]);
    expect(swapped.sort()).toEqual([one, two].sort().map((file) => [file, 'damaged']));
    await swap();
    const copy = path.join(path.dirname(one), `${path.basename(one)}-copy`);
    const misnamed = path.join(place.folder.objects, 'ff', `ff${path.basename(one).slice(2)}`);
    await copyFile(one, copy);
    await mkdir(path.dirname(misnamed), { recursive: true });
    await copyFile(one, misnamed);
    const copied = (await checkIn(place)).findings.map(({ file, problem, states }) => [file, problem, states]);
    expect(copied.sort()).toEqual(
      [
        [copy, 'foreign', []],
        [misnamed, 'damaged', []],
      ].sort(),
    );
    await rm(copy);
    await rm(misnamed);
    const bytes = await readFile(two);
    await chmod(two, 0o644);
    await writeFile(
      two,
      bytes.map((byte, index) => (index >= 100 && index < 150 ? 0 : byte)),
    );
    expect((await checkIn(place, false)).sound).toBe(true);
    expect((await checkIn(place)).findings).toMatchObject([{ file: two, states: ['1', '2', 'current'] }]);
    await writeFile(two, bytes);
    await rm(second.deltas['a.weight']!);
    expect((await checkIn(place, false)).findings).toEqual([
      {
        file: second.deltas['a.weight'],
        problem: 'missing',
        detail: expect.any(String),
        affected: [{ wave: 2, tensor: 'a.weight' }],
        states: ['2', 'current'],
      },
    ]);
  });

  it('names the states that still need an object: tags, and tensors that stand elsewhere', async () => {
    const planted = await plant(place, { 'a.weight': 40, 'b.weight': 40 }, 2);
    const journal = await Journal.open(place.folder.journal, { repair: true });
    await journal.append({ type: 'tag', name: 'best', state: { wave: 2, tensors: [] } });
    await journal.append({ type: 'rollback', to: 1, state: { wave: 1, tensors: [['b.weight', 2]] } });
    const statesOf = async (file: string) => {
      const bytes = await readFile(file);
      await rm(file);
      const { findings } = await checkIn(place, false);
      await writeFile(file, bytes);
      return findings.map(({ states }) => states);
    };
    expect(await statesOf(planted[1]!.deltas['a.weight']!)).toEqual([['2', 'best']]);
    expect(await statesOf(planted[1]!.deltas['b.weight']!)).toEqual([['2', 'current', 'best']]);
    expect(await statesOf(planted[0]!.layer)).toEqual([['1', '2', 'current', 'best']]);
    await journal.append({ type: 'untag', name: 'best' });
    await journal.append({ type: 'rollback', to: 1, state: { wave: 1, tensors: [] } });
    // What `gc` may take is not missed, and is not sound where it is there and damaged.
    expect(await statesOf(planted[1]!.deltas['a.weight']!)).toEqual([]);
    await chmod(planted[1]!.layer, 0o644);
    await writeFile(planted[1]!.layer, 'other');
    expect((await checkIn(place)).findings.map(({ file }) => file)).toContain(planted[1]!.layer);
  });

  it('takes a line that a crash tore off for what it is', async () => {
    await plant(place, { w: 9 }, 1);
    const whole = await readFile(place.folder.journal);
    const last = whole.lastIndexOf(0x0a, whole.length - 2) + 1;
    for (const end of [last + 1, last + 40, whole.length - 2, whole.length - 1]) {
      await writeFile(place.folder.journal, whole.subarray(0, end));
      expect((await checkIn(place)).findings).toEqual([]);
    }
  });

  it('refuses an output that has no journal', async () => {
    await expect(checkIn(place)).rejects.toMatchObject({ code: 'usage' });
  });
});
