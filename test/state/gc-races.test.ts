import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  collectGarbage,
  historyOf,
  Journal,
  type StateFolder,
  stateFolder,
  verifyLayers,
} from '../../src/state/index.js';
import { ObjectStore, type StoreEntry } from '../../src/store/index.js';
import { bundled } from '../fixtures/bundled.js';

const WRITE = bundled(new URL('../fixtures/write-objects.ts', import.meta.url));
const DAY = 86_400;

let root: string;
let folder: StateFolder;
const children: ChildProcess[] = [];
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'birdbone-races-'));
  folder = stateFolder(path.join(root, 'result'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(root, { recursive: true });
});

function start(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [WRITE, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

const entries = async () => {
  const all: StoreEntry[] = [];
  for await (const entry of new ObjectStore(folder.objects).entries()) all.push(entry);
  return all;
};

/** A writer that has stored its objects, has not recorded them yet, and is stopped there. */
async function stoppedWriter(): Promise<ChildProcess> {
  const child = start('wave', folder.root, '254');
  await once(child.stdout!, 'data');
  child.kill('SIGSTOP');
  return child;
}

async function finish(child: ChildProcess): Promise<void> {
  child.kill('SIGCONT');
  child.stdin!.write('go on\n');
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
  const { waves } = historyOf((await Journal.open(folder.journal, { repair: false })).records);
  expect(waves).toHaveLength(1);
  await verifyLayers(folder, waves);
}

describe.skipIf(process.platform !== 'linux')('gc beside writers (needs /proc)', () => {
  it('does not touch the objects of a writer that is stopped before it records them', async () => {
    const child = await stoppedWriter();
    await expect(collectGarbage(folder, { dryRun: false })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(String(child.pid)),
    });
    await finish(child);
  });

  it('keeps what is young even of a writer whose lock nobody sees', async () => {
    const child = await stoppedWriter();
    const [holder] = (await readdir(folder.root)).filter((name) => name.startsWith('lock.'));
    await rm(path.join(folder.root, holder!));
    const garbage = await collectGarbage(folder, { dryRun: false, graceSeconds: DAY });
    expect(garbage.map(({ young }) => young)).toEqual([true, true]);
    for (const item of garbage) expect(existsSync(item.path)).toBe(true);
    await finish(child);
  });

  it('leaves every object sound when eight processes write the same and others at once', async () => {
    const writers = Array.from({ length: 8 }, (_, seed) => start('many', folder.root, String(seed)));
    const codes = await Promise.all(writers.map(async (child) => (await once(child, 'exit'))[0] as number));
    expect(codes).toEqual(Array(8).fill(0));
    const found = await entries();
    // 20 that all of them have, and 20 of each.
    expect(found).toHaveLength(20 + 8 * 20);
    const store = new ObjectStore(folder.objects);
    for (const { kind, id } of found) {
      expect(kind).toBe('object');
      await store.verify(id!);
    }
    const { length } = await readFile(found[0]!.path);
    expect(length).toBe(16_000);
  }, 60_000);
});
