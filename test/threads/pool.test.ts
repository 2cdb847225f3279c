import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DigestPiece } from '../../src/manifest/digest-piece.js';
import { schemeOf } from '../../src/quantization/index.js';
import type { RoundedRows, RoundJob } from '../../src/quantization/round-rows.js';
import { openThreads } from '../../src/threads/index.js';

/** What has been started since a test began, and when each has ended. */
let started: Worker[] = [];
let ends: Promise<unknown>[] = [];
const note = (worker: Worker) => {
  started.push(worker);
  ends.push(new Promise((resolve) => worker.once('exit', resolve)));
};

beforeEach(async () => {
  await Promise.all(ends);
  [started, ends] = [[], []];
  process.on('worker', note);
});
afterEach(() => {
  process.off('worker', note);
});

let digest = 1e6;
const piece = (text: string): DigestPiece => ({
  digest: digest++,
  prefix: 'prefix',
  bytes: Buffer.from(text),
  isLast: true,
});
const sha256 = (text: string) => createHash('sha256').update(`prefix${text}`).digest('hex');
const openHashing = (threads: number) => openThreads<DigestPiece, string | undefined>('hash', threads);

/** Half a second's work. */
function longJob(): RoundJob {
  const bytes = new Uint8Array(64 * 2 ** 20);
  return { bytes, from: 'F32', columns: 1024, scheme: schemeOf('int4') };
}

describe('the threads of a process', () => {
  it('are the same for all kinds of work, and for who comes later while they are there', async () => {
    const hashing = openHashing(2);
    const rounding = openThreads<RoundJob, RoundedRows>('round', 2);
    const both = [hashing.run(piece('a'), [], 0), hashing.run(piece('b'), [], 1)];
    expect(await Promise.all(both)).toEqual([sha256('a'), sha256('b')]);
    expect(started).toHaveLength(2);
    const { codes } = await rounding.run({ ...longJob(), bytes: new Uint8Array(4096) });
    expect(codes).toHaveLength(512);
    await hashing.close();
    const later = openHashing(2);
    expect(await later.run(piece('c'), [], 1)).toBe(sha256('c'));
    expect(started).toHaveLength(2);
    await Promise.all([later.close(), rounding.close()]);
  });

  it('start when all others are at work, and end when nobody has them open', async () => {
    const rounding = openThreads<RoundJob, RoundedRows>('round', 3);
    await rounding.run({ ...longJob(), bytes: new Uint8Array(4096) });
    await rounding.run({ ...longJob(), bytes: new Uint8Array(4096) });
    expect(started).toHaveLength(1);
    await Promise.all([rounding.run(longJob()), rounding.run(longJob())]);
    expect(started).toHaveLength(2);
    await rounding.close();
    await Promise.all(ends);
    // Nothing to close.
    await rounding.close();
    const hashing = openHashing(1);
    expect(await hashing.run(piece('d'))).toBe(sha256('d'));
    expect(started).toHaveLength(3);
    await hashing.close();
  });

  it('go on with the work of others when one closes', async () => {
    const [closing, staying] = [openThreads<RoundJob, RoundedRows>('round', 1), openHashing(1)];
    const rejected = expect(closing.run(longJob())).rejects.toThrow('ended');
    const hashed = staying.run(piece('e'));
    await closing.close();
    await rejected;
    expect(await hashed).toBe(sha256('e'));
    await staying.close();
  });

  it('outlive an error that is no BirdboneError, which comes as it was', async () => {
    const rounding = openThreads<RoundJob, RoundedRows>('round', 1);
    const job = { ...longJob(), bytes: new Uint8Array(4096), columns: 1000 };
    await expect(rounding.run(job)).rejects.toThrow(RangeError);
    await expect(rounding.run(job)).rejects.toThrow('are no rows of 1000');
    const knitting = openThreads('knit', 1);
    await expect(knitting.run({})).rejects.toThrow("Threads know no work 'knit'.");
    expect(started).toHaveLength(1);
    await Promise.all([rounding.close(), knitting.close()]);
  });

  it('are replaced where one has ended in the middle of its work', async () => {
    const rounding = openThreads<RoundJob, RoundedRows>('round', 1);
    const rejected = expect(rounding.run(longJob())).rejects.toThrow('A thread has ended.');
    await setImmediate();
    await started[0]!.terminate();
    await rejected;
    const { codes } = await rounding.run({ ...longJob(), bytes: new Uint8Array(4096) });
    expect(codes).toHaveLength(512);
    expect(started).toHaveLength(2);
    await rounding.close();
  });
});
