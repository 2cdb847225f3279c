import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Checkpoint, memoryLayer, openCheckpoint, overlay, writeCheckpoint } from '../../src/checkpoint/index.js';
import type { Event } from '../../src/events.js';
import { bundled } from '../fixtures/bundled.js';
import { f32, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';
import { sharedMissing, sharedModel } from '../shared.js';

const source = () =>
  memoryCheckpoint(
    {
      b: { dtype: 'U8', shape: [300], bytes: patterned(300, 1) },
      a: { dtype: 'F32', shape: [50], bytes: patterned(200, 2) },
      c: { dtype: 'BF16', shape: [0], bytes: new Uint8Array(0) },
      '🦴': { dtype: 'BF16', shape: [2, 10], bytes: patterned(40, 3) },
    },
    { metadata: { format: 'pt', tied: 'a' }, aliases: { tied: 'a' } },
  );

async function expectSame(left: Checkpoint, right: Checkpoint): Promise<void> {
  expect(left.tensors).toEqual(right.tensors);
  expect(left.aliases).toEqual(right.aliases);
  expect(left.metadata).toEqual(right.metadata);
  for (const name of right.tensors.keys()) expect(await left.read(name)).toEqual(await right.read(name));
}

/** Name → content of every file, in name order. */
function contents(folder: string): Record<string, string> {
  const names = readdirSync(folder).sort();
  return Object.fromEntries(names.map((name) => [name, readFileSync(path.join(folder, name), 'latin1')]));
}

describe('writeCheckpoint', () => {
  it('writes one file that reads as the source', async () => {
    const folder = temporaryFolder();
    await writeCheckpoint(source(), folder);
    expect(readdirSync(folder)).toEqual(['model.safetensors']);
    const written = await openCheckpoint(folder);
    await expectSame(written, source());
    await written.close();
  });

  it('writes shards in name order, none above the limit but single tensors, and their index', async () => {
    const folder = temporaryFolder();
    await writeCheckpoint(source(), folder, { maxShardBytes: 250 });
    const index = readFileSync(path.join(folder, 'model.safetensors.index.json'), 'utf8');
    // a has 200 bytes, b 300, c none, 🦴 40.
    expect(index).toBe(`{
  "metadata": {
    "total_size": 540
  },
  "weight_map": {
    "a": "model-00001-of-00003.safetensors",
    "b": "model-00002-of-00003.safetensors",
    "c": "model-00003-of-00003.safetensors",
    "🦴": "model-00003-of-00003.safetensors"
  }
}
`);
    expect(readdirSync(folder).sort()).toEqual([
      'model-00001-of-00003.safetensors',
      'model-00002-of-00003.safetensors',
      'model-00003-of-00003.safetensors',
      'model.safetensors.index.json',
    ]);
    const written = await openCheckpoint(folder);
    await expectSame(written, source());
    expect(written.notices).toEqual([]);
    await written.close();
  });

  it('fills a shard up to the limit', async () => {
    const folder = temporaryFolder();
    await writeCheckpoint(source(), folder, { maxShardBytes: 500 });
    const { weight_map: map } = JSON.parse(readFileSync(path.join(folder, 'model.safetensors.index.json'), 'utf8')) as {
      weight_map: Record<string, string>;
    };
    expect(Object.values(map).map((file) => file.slice(6, 11))).toEqual(['00001', '00001', '00001', '00002']);
  });

  it('writes the same bytes each time', async () => {
    const [first, second] = [temporaryFolder(), temporaryFolder()];
    const options = { maxShardBytes: 250, extraFiles: { 'birdbone.json': '{}' } };
    await writeCheckpoint(source(), first, options);
    await writeCheckpoint(source(), second, options);
    expect(contents(first)).toEqual(contents(second));
  });

  it('writes an overlay as the overlay reads', async () => {
    const folder = temporaryFolder();
    const base = memoryCheckpoint({ w: f32([4], [1, 2, 3, 4]) });
    const stack = overlay(base, [memoryLayer(new Map([['w', Uint8Array.of(0b0110)]]))]);
    await writeCheckpoint(stack, folder);
    const written = await openCheckpoint(folder);
    await expectSame(written, stack);
    await written.close();
  });

  it('writes its own texts over carried ones', async () => {
    const [from, folder] = [temporaryFolder(), temporaryFolder()];
    writeFileSync(path.join(from, 'config.json'), 'carried');
    writeFileSync(path.join(from, 'tokenizer.json'), 'carried');
    await writeCheckpoint(source(), folder, {
      carryFrom: from,
      extraFiles: { 'config.json': 'new', 'birdbone.json': '{}' },
    });
    const { 'model.safetensors': _, ...others } = contents(folder);
    expect(others).toEqual({ 'birdbone.json': '{}', 'config.json': 'new', 'tokenizer.json': 'carried' });
  });

  it('reports bytes up to the total, and what it left behind', async () => {
    const from = temporaryFolder();
    mkdirSync(path.join(from, 'original'));
    writeFileSync(path.join(from, 'original', 'consolidated.00.pth'), '');
    const events: Event[] = [];
    await writeCheckpoint(source(), temporaryFolder(), { carryFrom: from, report: (event) => events.push(event) });
    expect(events).toContainEqual({
      type: 'notice',
      message: expect.stringContaining('Not carried over: original, a folder'),
    });
    const progress = events.filter((event) => event.type === 'progress');
    expect(progress.at(-1)).toEqual({ type: 'progress', stage: 'write', done: 540, total: 540, unit: 'bytes' });
    const steps = progress.map(({ done }, i) => done - (progress[i - 1]?.done ?? 0));
    expect(steps.every((step) => step > 0)).toBe(true);
  });

  it('stops between chunks when it is interrupted, and leaves no weights', async () => {
    const folder = temporaryFolder();
    const stop = new AbortController();
    const writing = writeCheckpoint(source(), folder, { signal: stop.signal, report: () => stop.abort() });
    await expect(writing).rejects.toMatchObject({ code: 'interrupted' });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('passes on what goes wrong while reading, and leaves no weights', async () => {
    const folder = temporaryFolder();
    const failing: Checkpoint = {
      ...source(),
      read: async () => {
        throw new Error('a broken disk');
      },
    };
    await expect(writeCheckpoint(failing, folder)).rejects.toThrow('a broken disk');
    expect(readdirSync(folder)).toEqual([]);
  });

  /** A source that reads into the memory it is offered, at its own pace: later parts sooner. */
  function slow(bytes: Uint8Array, failsAt = Number.POSITIVE_INFINITY) {
    const state = { underWay: 0, most: 0 };
    const read: Checkpoint['read'] = async (_, range) => {
      const { offset, length, into } = range!;
      state.underWay += 1;
      state.most = Math.max(state.most, state.underWay);
      await new Promise((resolve) => setTimeout(resolve, 1 + ((offset / 2 ** 20) % 3 === 0 ? 8 : 0)));
      state.underWay -= 1;
      if (offset >= failsAt) throw new Error('the disk is gone');
      into!.set(bytes.subarray(offset, offset + length));
      return into!.subarray(0, length);
    };
    const stored = memoryCheckpoint({ w: { dtype: 'U8', shape: [bytes.length], bytes } });
    return { checkpoint: { ...stored, read }, state };
  }

  it('copies chunks that are read side by side, whichever comes first', async () => {
    const bytes = patterned(9_500_000, 4);
    const { checkpoint, state } = slow(bytes);
    const folder = temporaryFolder();
    await writeCheckpoint(checkpoint, folder);
    const written = readFileSync(path.join(folder, 'model.safetensors'));
    expect(written.subarray(-bytes.length).equals(bytes)).toBe(true);
    expect(state.most).toBeGreaterThan(1);
  });

  it('lets no read go on when it has thrown what one of them has thrown', async () => {
    const { checkpoint, state } = slow(patterned(9_500_000, 4), 4 * 2 ** 20);
    const folder = temporaryFolder();
    await expect(writeCheckpoint(checkpoint, folder)).rejects.toThrow('the disk is gone');
    expect(state.underWay).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('refuses a folder that is not empty or not there', async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'mine.txt'), 'mine');
    await expect(writeCheckpoint(source(), folder)).rejects.toMatchObject({
      code: 'unwritable',
      file: folder,
      message: `Cannot write into ${folder}: it is not empty (mine.txt).`,
    });
    expect(contents(folder)).toEqual({ 'mine.txt': 'mine' });
    await expect(writeCheckpoint(source(), path.join(folder, 'none'))).rejects.toMatchObject({ code: 'unreadable' });
  });

  it('refuses texts outside the folder, and in place of the weights', async () => {
    const folder = temporaryFolder();
    for (const name of ['../x', '/tmp/x', 'a/b', '..', '.', '', 'model.safetensors']) {
      await expect(writeCheckpoint(source(), folder, { extraFiles: { [name]: '' } })).rejects.toThrow(RangeError);
    }
    expect(readdirSync(folder)).toEqual([]);
  });
});

const COPY = bundled(new URL('../fixtures/copy-and-measure.ts', import.meta.url));

it('copies a checkpoint in a few chunks of memory, however large it is', async () => {
  const [from, to] = [temporaryFolder(), temporaryFolder()];
  const bytes = 300_000_000;
  const header = `{"w":{"dtype":"BF16","shape":[${bytes / 2}],"data_offsets":[0,${bytes}]}}`;
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  const file = path.join(from, 'model.safetensors');
  writeFileSync(file, Buffer.concat([prefix, Buffer.from(header)]));
  truncateSync(file, 8 + header.length + bytes);
  const output = execFileSync(process.execPath, [COPY, file, to], { encoding: 'utf8' });
  expect((JSON.parse(output) as { extraMegabytes: number }).extraMegabytes).toBeLessThan(100);
});

describe.skipIf(sharedMissing)(`a real checkpoint${sharedMissing ? ` (${sharedMissing})` : ''}`, () => {
  // These files are in the canonical order, so nothing may change in them.
  it.each(['tinystories-656k', 'novels-5m', 'stories260k'])('%s, written again, is the same file', async (name) => {
    const folder = temporaryFolder();
    const checkpoint = await openCheckpoint(sharedModel(name));
    await writeCheckpoint(checkpoint, folder, { carryFrom: sharedModel(name) });
    await checkpoint.close();
    const same = (file: string) =>
      readFileSync(path.join(folder, file)).equals(readFileSync(path.join(sharedModel(name), file)));
    expect(['model.safetensors', 'config.json', 'tokenizer.json'].filter((file) => !same(file))).toEqual([]);
    const all = readdirSync(sharedModel(name)).filter(
      (file) => file !== 'SHA256SUMS' && file !== 'reference-logits.safetensors',
    );
    expect(readdirSync(folder).sort()).toEqual(all.sort());
  });
});
