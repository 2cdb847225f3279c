import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkRoom, freeBytes } from '../../src/state/room.js';

describe('checkRoom', () => {
  it('asks the file system of the nearest folder that exists', async () => {
    const { bavail, bsize } = statfsSync(tmpdir());
    const free = await freeBytes(path.join(tmpdir(), 'not', 'there', 'yet'));
    // Other processes write meanwhile.
    expect(Math.abs(free - bavail * bsize)).toBeLessThan(5e9);
  });

  it('refuses what cannot fit, before the work', async () => {
    await expect(checkRoom(tmpdir(), 1e18)).rejects.toMatchObject({ code: 'unwritable', exitCode: 6 });
    await checkRoom(tmpdir(), 1);
  });
});
