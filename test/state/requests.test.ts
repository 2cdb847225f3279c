import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type ControlRequest,
  collectGarbage,
  holderOf,
  lock,
  runStatusIn,
  stateFolder,
} from '../../src/state/index.js';
import { hasRequest, leaveRequest, requestFile, staleRequests, takeRequest } from '../../src/state/requests.js';

let parent: string;
let root: string;
beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'birdbone-requests-'));
  root = stateFolder(path.join(parent, 'result')).root;
});
afterEach(() => rm(parent, { recursive: true }));

async function taken(token: string): Promise<(ControlRequest | 'malformed')[]> {
  const found: (ControlRequest | 'malformed')[] = [];
  await takeRequest(root, token, async (request) => {
    // Whoever asked waits until this is done.
    expect(hasRequest(root, token)).toBe(true);
    found.push(request);
  });
  return found;
}

describe('a request to a run', () => {
  it('is taken once, by whoever has the lock that it was left for', async () => {
    const held = await lock(root);
    expect(await taken(held.token)).toEqual([]);
    await leaveRequest(root, held.token, { action: 'skip', wave: 3 });
    expect(hasRequest(root, held.token)).toBe(true);
    expect(await taken('lock.0a1b')).toEqual([]);
    expect(await taken(held.token)).toEqual([{ action: 'skip', wave: 3 }]);
    expect(await taken(held.token)).toEqual([]);
    expect(await readdir(root)).toEqual([held.token]);
    await held();
  });

  it('takes the place of one that was not taken yet', async () => {
    const held = await lock(root);
    await leaveRequest(root, held.token, { action: 'pause' });
    await leaveRequest(root, held.token, { action: 'stop' });
    expect(await taken(held.token)).toEqual([{ action: 'stop' }]);
    await held();
  });

  it.each(['', '{', 'null', '[]', '{"action":"erase"}', '{"action":"skip","wave":"3"}', `"${'x'.repeat(4096)}"`])(
    'is malformed, and gone, where the file holds %j',
    async (text) => {
      const held = await lock(root);
      await writeFile(requestFile(root, held.token), text);
      expect(await taken(held.token)).toEqual(['malformed']);
      expect(hasRequest(root, held.token)).toBe(false);
      await held();
    },
  );

  it('is nothing to the next process, and garbage', async () => {
    const first = await lock(root);
    await leaveRequest(root, first.token, { action: 'stop' });
    await writeFile(`${requestFile(root, 'lock.0a1b')}.taken`, '{"action":"stop"}');
    await first();
    const second = await lock(root);
    expect(await taken(second.token)).toEqual([]);
    await leaveRequest(root, second.token, { action: 'pause' });
    const stale = await staleRequests(root, second.token);
    expect(stale.sort()).toEqual([path.basename(requestFile(root, first.token)), 'control.0a1b.taken'].sort());
    await second();
    const garbage = await collectGarbage(stateFolder(path.join(parent, 'result')), { dryRun: false });
    expect(garbage.map(({ reason }) => reason)).toEqual(Array(3).fill('request to a run that ended'));
    expect(await readdir(root)).toEqual([]);
  });
});

describe('a lock', () => {
  it('says what its holder is at, last told last, and goes whole', async () => {
    expect(await holderOf(root)).toBeUndefined();
    const held = await lock(root);
    expect(runStatusIn((await holderOf(root))!)).toBeUndefined();
    const since = '2026-11-21T17:00:00.000Z';
    await Promise.all([1, 2, 3].map((wave) => held.tell({ state: 'running', wave, step: 0, target: 0.5, since })));
    const holder = await holderOf(root);
    expect(holder).toMatchObject({ pid: process.pid, token: held.token });
    expect(runStatusIn(holder!)).toEqual({ state: 'running', wave: 3, step: 0, target: 0.5, since });
    const late = held.tell({ state: 'publishing', since });
    await held();
    await late;
    await held.tell({ state: 'paused', since });
    expect(existsSync(path.join(root, held.token))).toBe(false);
    expect(await readdir(root)).toEqual([]);
  });

  it('shows no status that no run has written', async () => {
    const held = await lock(root);
    const file = path.join(root, held.token);
    const holder = JSON.parse(await readFile(file, 'utf8')) as object;
    for (const status of [null, 'paused', { state: 'dancing', since: '' }, { state: 'paused', since: 1 }]) {
      await writeFile(file, JSON.stringify({ ...holder, status }));
      expect(runStatusIn((await holderOf(root))!)).toBeUndefined();
    }
    await held();
  });
});
