import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lock } from '../../src/state/lock.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'birdbone-lock-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function holderFor(pid: number): Promise<Record<string, unknown>> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return { host: hostname(), pid, boot, started: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] };
}

describe.skipIf(process.platform !== 'linux')('lock (needs /proc)', () => {
  it('is free again after release, and leaves nothing behind', async () => {
    const release = await lock(folder);
    await release();
    expect(await readdir(folder)).toEqual([]);
    await (await lock(folder))();
  });

  it.each(['', '{', 'null'])('is free beside a lock that holds %j, as a power cut may leave it', async (text) => {
    await writeFile(path.join(folder, 'lock.0a1b'), text);
    await (await lock(folder))();
    expect(await readdir(folder)).toEqual([]);
  });

  it('names the live process that has it', async () => {
    const child = spawn('sleep', ['30']);
    await once(child, 'spawn');
    await writeFile(path.join(folder, 'lock.0a1b'), JSON.stringify(await holderFor(child.pid!)));
    await expect(lock(folder)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(String(child.pid)),
    });
    child.kill();
    await once(child, 'exit');
    await (await lock(folder))();
  });

  it('takes over from a process that has ended and that its parent does not wait for', async () => {
    // `exec` makes a sleep the parent, which never asks what became of its child: one that ends earlier the shell may ask for.
    const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 30'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const pid = Number(String((await once(parent.stdout, 'data'))[0]));
    const state = async () => /^State:\s+(.)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))![1];
    await expect.poll(state).toBe('Z');
    await writeFile(path.join(folder, 'lock.0a1b'), JSON.stringify(await holderFor(pid)));
    await (await lock(folder))();
    parent.kill();
    await once(parent, 'exit');
  });

  it('never takes over from another machine, and says how to', async () => {
    await writeFile(
      path.join(folder, 'lock.0a1b'),
      JSON.stringify({ ...(await holderFor(process.pid)), host: 'elsewhere', boot: 'other' }),
    );
    await expect(lock(folder)).rejects.toMatchObject({
      message: expect.stringContaining('on elsewhere'),
      suggestions: expect.arrayContaining([expect.stringContaining('remove')]),
    });
  });

  it('takes over from a process of an earlier boot, from a reused pid, and from a torn file', async () => {
    const mine = await holderFor(process.pid);
    for (const left of [
      JSON.stringify({ ...mine, boot: 'earlier' }),
      JSON.stringify({ ...mine, started: '1' }),
      '{"pid":',
    ]) {
      await writeFile(path.join(folder, 'lock.0a1b'), left);
      await (await lock(folder))();
    }
  });

  it('goes to exactly one of many that find the same stale lock', async () => {
    for (let round = 0; round < 5; round++) {
      await writeFile(
        path.join(folder, 'lock.0a1b'),
        JSON.stringify({ host: hostname(), pid: 1, boot: 'earlier', started: '1' }),
      );
      const taken = await Promise.allSettled(Array.from({ length: 8 }, () => lock(folder)));
      const releases = taken.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      expect(releases).toHaveLength(1);
      await releases[0]!();
      expect(await readdir(folder)).toEqual([]);
    }
  });
});
