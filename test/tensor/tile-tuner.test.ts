import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadTiles, saveTiles, tileFile } from '../../src/tensor/backends/tile-memory.js';
import type { ProductShape } from '../../src/tensor/wgsl/kernel.js';
import { tilesFor } from '../../src/tensor/wgsl/multiply.js';
import { PRODUCT_TILES, threadsOf, tileBytes } from '../../src/tensor/wgsl/product-tile.js';
import { fastestTile, shapeClassOf, TileTuner } from '../../src/tensor/wgsl/tile-tuner.js';

const shape: ProductShape = { batch: 1, m: 2000, n: 4096, k: 4096 };

/** A clock on which each tile takes the seconds given for it. */
function clockOf(seconds: Readonly<Record<string, readonly number[]>>) {
  const tried: string[] = [];
  const rounds = new Map<string, number>();
  const trial = (tile: string) => void tried.push(tile);
  const secondsOf = async (work: () => void) => {
    work();
    const tile = tried.at(-1)!;
    const round = rounds.get(tile) ?? 0;
    rounds.set(tile, round + 1);
    return seconds[tile]![round % seconds[tile]!.length]!;
  };
  return { tried, trial, secondsOf };
}

describe('the tuner of tiles', () => {
  it('guesses until it has measured, then takes the fastest of the class, whatever the first round took', async () => {
    const { tried, trial, secondsOf } = clockOf({ a: [0, 3, 3, 3], b: [9, 2, 7, 2], c: [5, 4, 1, 4] });
    const tuner = new TileTuner();
    expect(tuner.choose('product', shape, ['a', 'b', 'c'], trial)).toBe('a');
    expect(await tuner.settle(secondsOf)).toBe(true);
    expect(tried).toEqual(['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']);
    expect(tuner.choose('product', { ...shape, m: 1500, k: 7 }, ['a', 'b', 'c'], trial)).toBe('b');
    expect(tuner.choices).toEqual({ 'product 4096x4096': 'b' });
    expect(await tuner.settle(secondsOf)).toBe(false);
  });

  it('takes a kept choice at once, unless this shape has no such tile', () => {
    const tuner = new TileTuner({ 'product 4096x4096': 'c' });
    expect(tuner.choose('product', shape, ['a', 'c'])).toBe('c');
    expect(tuner.choose('product', shape, ['a', 'b'])).toBe('a');
    expect(tuner.choose('other', shape, ['a', 'c'])).toBe('a');
  });

  it('never takes a tile that the GPU refused, and the first where it refused all or equals are fastest', () => {
    const refused = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    expect(
      fastestTile(
        new Map([
          ['a', refused],
          ['b', [9, 9, 9]],
        ]),
      ),
    ).toBe('b');
    expect(
      fastestTile(
        new Map([
          ['a', refused],
          ['b', refused],
        ]),
      ),
    ).toBe('a');
    expect(
      fastestTile(
        new Map([
          ['a', [1, 2, 3]],
          ['b', [2, 2, 2]],
        ]),
      ),
    ).toBe('a');
  });

  it('tells shapes apart by sides that matter', () => {
    expect(shapeClassOf({ batch: 1, m: 1, n: 17, k: 5 }).name).toBe('16x64');
    expect(shapeClassOf({ batch: 8, m: 300, n: 128_000, k: 5 })).toEqual({
      name: '1024x4096 batched',
      representative: { batch: 1, m: 1024, n: 4096, k: 1024 },
    });
  });
});

describe('tiles', () => {
  const limits = {
    maxBufferSize: 2 ** 28,
    maxStorageBufferBindingSize: 2 ** 27,
    maxComputeWorkgroupStorageSize: 16_384,
    maxComputeWorkgroupsPerDimension: 65_535,
    maxComputeWorkgroupSizeX: 256,
    maxComputeInvocationsPerWorkgroup: 256,
  };

  it("are offered as far as the GPU has room for them, one at least by WebGPU's smallest limits", () => {
    const names = tilesFor(shape, { limits });
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      expect(tileBytes(PRODUCT_TILES[name])).toBeLessThanOrEqual(16_384);
      expect(threadsOf(PRODUCT_TILES[name])).toBeLessThanOrEqual(256);
    }
    expect(names).not.toContain('128x128');
    expect(tilesFor(shape, { limits: { ...limits, maxComputeWorkgroupStorageSize: 49_152 } })[0]).toBe('128x128');
    expect(tilesFor({ ...shape, m: 3 }, { limits: { ...limits, maxComputeWorkgroupStorageSize: 32_768 } })[0]).toBe(
      '4x128',
    );
  });

  it('have sides that their blocks divide', () => {
    for (const tile of Object.values(PRODUCT_TILES)) {
      expect([tile.rows % tile.threadRows, tile.columns % tile.threadColumns, tile.depth % 4]).toEqual([0, 0, 0]);
      expect([tile.threadRows % 4, tile.threadColumns % 4]).toEqual([0, 0]);
    }
  });
});

describe('the memory of tiles', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'tiles-'));
    file = tileFile({ XDG_CACHE_HOME: folder });
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("is a file in the user's cache folder, by adapter", async () => {
    expect(file).toBe(path.join(folder, 'birdbone', 'tiles.json'));
    expect(await loadTiles('one', file)).toEqual({});
    await saveTiles('one', { x: 'a' }, file);
    await saveTiles('two', { x: 'b' }, file);
    await saveTiles('one', { x: 'c' }, file);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ one: { x: 'c' }, two: { x: 'b' } });
    expect(await loadTiles('two', file)).toEqual({ x: 'b' });
  });

  it.each(['', '{', '[]', 'null', '{"one": 1}', '{"one": {"x": 1}}', '{"one": []}', ' '.repeat(2 ** 20 + 1)])(
    'is empty where the file is not ours: %.20s',
    async (text) => {
      await saveTiles('one', { x: 'a' }, file);
      await writeFile(file, text);
      expect(await loadTiles('one', file)).toEqual({});
      await saveTiles('one', { x: 'b' }, file);
      expect(await loadTiles('one', file)).toEqual({ x: 'b' });
    },
  );

  it('costs nothing but time where the folder cannot be written to', async () => {
    const blocked = path.join(folder, 'file');
    await writeFile(blocked, '');
    await saveTiles('one', { x: 'a' }, path.join(blocked, 'tiles.json'));
    expect(await loadTiles('one', path.join(blocked, 'tiles.json'))).toEqual({});
  });
});
