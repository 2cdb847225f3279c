import { chmod, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ObjectStore } from '../../src/store/index.js';
import { checkIn, filesOf, inStateFolders, type Planted, plant, withFlips } from '../fixtures/state-of-waves.js';

const place = inStateFolders();

describe('checkState over a disk that rots', () => {
  it('finds every single flipped bit of every object', async () => {
    const planted = await plant(place, { w: 9 }, 1);
    let flips = 0;
    for (const file of filesOf(planted)) {
      const { length } = await readFile(file);
      await withFlips(file, Array(length * 8).keys(), async () => {
        const { sound, findings } = await checkIn(place);
        expect(sound).toBe(false);
        expect(findings[0]).toMatchObject({ file, problem: 'damaged', states: ['1', 'current'] });
        flips += 1;
      });
    }
    expect(flips).toBeGreaterThan(4000);
    expect((await checkIn(place)).sound).toBe(true);
  }, 120_000);

  it('finds ten thousand random flips in a larger store', async () => {
    const planted = await plant(place, { 'a.weight': 40_000, 'b.weight': 9_000 }, 3);
    const files = filesOf(planted);
    const sizes = await Promise.all(files.map(async (file) => (await readFile(file)).length));
    let state = 7;
    const next = (limit: number) => {
      state = (state * 1664525 + 1013904223) % 2 ** 32;
      return Math.floor((state / 2 ** 32) * limit);
    };
    const flips = Array.from({ length: 10_000 }, () => {
      // By bytes, not by files: a large object has more bits to lose.
      let at = next(sizes.reduce((sum, size) => sum + size, 0));
      const index = sizes.findIndex((size) => {
        if (at < size) return true;
        at -= size;
        return false;
      });
      return { index, bit: at * 8 + next(8) };
    });
    for (const [index, file] of files.entries()) {
      const bits = flips.filter((flip) => flip.index === index).map(({ bit }) => bit);
      await withFlips(file, bits, async (bit) => {
        // Every object is read by `verify`; the whole check costs a hundred times as much, and is done for one flip in fifty.
        await expect(new ObjectStore(place.folder.objects).verify(path.basename(file))).rejects.toMatchObject({ file });
        if (bit % 50 === 0) expect((await checkIn(place)).findings.map((finding) => finding.file)).toEqual([file]);
      });
    }
  }, 120_000);

  it('finds an object cut at any length, with and without reading', async () => {
    const [{ layer, deltas }] = (await plant(place, { w: 9 }, 1)) as [Planted];
    const delta = deltas['w']!;
    const bytes = await readFile(delta);
    await chmod(delta, 0o644);
    for (let length = bytes.length - 1; length >= 0; length -= 1) {
      await truncate(delta, length);
      for (const readData of [false, true]) {
        const [finding, ...others] = (await checkIn(place, readData)).findings;
        expect(others).toEqual([]);
        expect(finding).toMatchObject({ file: delta, problem: 'damaged', affected: [{ wave: 1, tensor: 'w' }] });
      }
    }
    await writeFile(delta, bytes);
    await chmod(layer, 0o644);
    await truncate(layer, 100);
    expect((await checkIn(place, false)).findings).toMatchObject([{ file: layer, affected: [{ wave: 1 }] }]);
  }, 60_000);

  it('finds every single flipped bit of the journal and of the baseline', async () => {
    await plant(place, { w: 9 }, 1);
    for (const file of [place.folder.journal, path.join(place.folder.root, 'baseline.json')]) {
      const { length } = await readFile(file);
      await withFlips(file, Array(length * 8).keys(), async () => {
        const { findings } = await checkIn(place, false);
        expect(findings.map((finding) => finding.file)).toContain(file);
      });
    }
  }, 60_000);
});
