import {
  appendFileSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileSource } from '../../src/checkpoint/files/bytes.js';
import { patterned, temporaryFolder } from '../fixtures/safetensors-file.js';

/** An open file of 1000 patterned bytes. */
async function opened() {
  const file = path.join(temporaryFolder(), 'bytes');
  writeFileSync(file, patterned(1000));
  return { file, source: await FileSource.open(file) };
}

describe('FileSource', () => {
  it('reads any range, each time into an array of its own', async () => {
    const { source } = await opened();
    const whole = patterned(1000);
    for (const [offset, length] of [
      [0, 1000],
      [0, 0],
      [1000, 0],
      [999, 1],
      [17, 400],
    ] as const) {
      const bytes = await source.read(offset, length);
      expect(bytes).toEqual(whole.slice(offset, offset + length));
      expect(bytes.buffer.byteLength).toBe(length);
    }
    await source.close();
  });

  it('answers many reads at once', async () => {
    const { source } = await opened();
    const offsets = Array.from({ length: 200 }, (_, i) => i * 5);
    const parts = await Promise.all(offsets.map((offset) => source.read(offset, 5)));
    expect(Buffer.concat(parts)).toEqual(Buffer.from(patterned(1000)));
    await source.close();
  });

  it('names the file when there is none', async () => {
    const file = path.join(temporaryFolder(), 'none');
    await expect(FileSource.open(file)).rejects.toMatchObject({
      code: 'unreadable',
      file,
      message: expect.stringContaining(`${file}: there is no such file`),
    });
  });

  it('follows a link to a file', async () => {
    const { file, source } = await opened();
    await source.close();
    symlinkSync(file, `${file}-link`);
    const linked = await FileSource.open(`${file}-link`);
    expect(await linked.read(0, 1000)).toEqual(patterned(1000));
    await linked.close();
  });
});

describe('prefetch', () => {
  /** Bytes that this process has asked the system for so far. */
  const asked = () => Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))![1]);

  it.skipIf(process.platform !== 'linux')(
    'has the system read a range of any length, and keeps nothing of it',
    async () => {
      const [file, length] = [path.join(temporaryFolder(), 'bytes'), 70 * 2 ** 20 + 5];
      writeFileSync(file, '');
      truncateSync(file, length);
      const source = await FileSource.open(file);
      const [before, held] = [asked(), process.memoryUsage().arrayBuffers];
      await source.prefetch(3, length - 3);
      expect(asked() - before).toBeGreaterThanOrEqual(length - 3);
      expect(process.memoryUsage().arrayBuffers - held).toBeLessThan(4 * 2 ** 20);
      await source.close();
    },
  );

  it('promises nothing: past the end, and of a file that was closed', async () => {
    const { source } = await opened();
    await source.prefetch(990, 2000);
    await source.close();
    await source.prefetch(0, 1000);
    await expect(source.read(0, 1)).rejects.toMatchObject({ code: 'unreadable' });
  });
});

describe('a file that changes while it is open', () => {
  it('is refused when it is cut before the range', async () => {
    const { file, source } = await opened();
    truncateSync(file, 100);
    await expect(source.read(200, 10)).rejects.toMatchObject({ code: 'unreadable', file });
    await expect(source.read(200, 10)).rejects.toThrow(
      'had 1000 bytes when it was opened, and now ends before byte 200',
    );
    expect(() => source.readSync(0, new Uint8Array(200))).toThrow('now ends before byte 100');
    await source.close();
  });

  it('is refused when it is cut behind the range', async () => {
    const { file, source } = await opened();
    truncateSync(file, 500);
    await expect(source.read(0, 10)).rejects.toThrow(
      'it had 1000 bytes when it was opened, and was written to since; it has 500',
    );
    await source.close();
  });

  it('is refused when it grows', async () => {
    const { file, source } = await opened();
    appendFileSync(file, 'more');
    await expect(source.read(0, 10)).rejects.toThrow('it has 1004');
    await source.close();
  });

  it('is refused when it is rewritten in place with as many bytes', async () => {
    const { file, source } = await opened();
    // As long ago as a copy could have been made; the clock of a file system may be coarse.
    utimesSync(file, 1, 1);
    const rewritten = await FileSource.open(file);
    writeFileSync(file, patterned(1000, 2));
    await expect(rewritten.read(0, 10)).rejects.toMatchObject({ code: 'unreadable' });
    await rewritten.close();
    await source.close();
  });

  it('is read on as it was when another takes its name', async () => {
    const { file, source } = await opened();
    writeFileSync(`${file}-new`, patterned(2000, 9));
    renameSync(`${file}-new`, file);
    expect(await source.read(0, 1000)).toEqual(patterned(1000));
    await source.close();
  });
});

it('reads beyond 4 GiB, from a file that is mostly a hole', async () => {
  const file = path.join(temporaryFolder(), 'large');
  const handle = await open(file, 'w');
  const offset = 2 ** 32 + 12345;
  await handle.write(patterned(3000), 0, 3000, offset);
  await handle.close();
  const source = await FileSource.open(file);
  expect(source.size).toBe(offset + 3000);
  expect(await source.read(offset - 2, 3002)).toEqual(Uint8Array.from([0, 0, ...patterned(3000)]));
  await source.close();
});
