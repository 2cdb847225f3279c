import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal } from '../../src/state/journal.js';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'birdbone-journal-'));
  file = path.join(folder, 'journal.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

async function threeRecords(): Promise<void> {
  const journal = await Journal.open(file, { repair: true });
  await journal.append({ type: 'begin' });
  await journal.append({ type: 'wave', wave: 1 });
  await journal.append({ type: 'wave', wave: 2 });
}

describe('Journal', () => {
  it('gives back what was appended, numbered', async () => {
    await threeRecords();
    const { records } = await Journal.open(file, { repair: false });
    expect(records.map((record) => [record.seq, record.type, record['wave']])).toEqual([
      [1, 'begin', undefined],
      [2, 'wave', 1],
      [3, 'wave', 2],
    ]);
  });

  it('begins anew in the place of an older one, and goes on from there', async () => {
    await threeRecords();
    const journal = await Journal.begin(file, { type: 'begin', again: true });
    await journal.append({ type: 'wave', wave: 1 });
    const { records } = await Journal.open(file, { repair: false });
    expect(records.map(({ seq, type }) => [seq, type])).toEqual([
      [1, 'begin'],
      [2, 'wave'],
    ]);
    expect(await readdir(folder)).toEqual(['journal.jsonl']);
  });

  it('is empty where there is no file', async () => {
    expect((await Journal.open(file, { repair: false })).records).toEqual([]);
  });

  it('drops a torn last line at every length, and goes on after it', async () => {
    await threeRecords();
    const whole = await readFile(file);
    const secondEnd = whole.indexOf(0x0a, whole.indexOf(0x0a) + 1) + 1;
    for (let length = secondEnd; length < whole.length; length++) {
      await writeFile(file, whole.subarray(0, length));
      const journal = await Journal.open(file, { repair: true });
      expect(journal.records).toHaveLength(2);
    }
    const journal = await Journal.open(file, { repair: true });
    await journal.append({ type: 'finish' });
    expect((await Journal.open(file, { repair: false })).records.map((record) => record.type)).toEqual([
      'begin',
      'wave',
      'finish',
    ]);
  });

  it('cuts off no record whose line end alone is damaged', async () => {
    await threeRecords();
    const whole = await readFile(file);
    for (const bit of [0, 1, 5, 7]) {
      const changed = Buffer.from(whole);
      changed[whole.length - 1] = 0x0a ^ (1 << bit);
      await writeFile(file, changed);
      await expect(Journal.open(file, { repair: true })).rejects.toMatchObject({ code: 'unreadable', file });
      expect(await readFile(file)).toEqual(changed);
    }
  });

  it('leaves a torn line on disk when only reading', async () => {
    await threeRecords();
    await appendFile(file, '{"seq":4,');
    await Journal.open(file, { repair: false });
    expect((await readFile(file, 'utf8')).endsWith('{"seq":4,')).toBe(true);
  });

  it('refuses any changed byte in a whole line', async () => {
    await threeRecords();
    const whole = await readFile(file);
    for (let at = 0; at < whole.length - 1; at += 7) {
      if (whole[at] === 0x0a) continue;
      const changed = Buffer.from(whole);
      changed[at] = changed[at]! ^ 1;
      await writeFile(file, changed);
      await expect(Journal.open(file, { repair: true }), `byte ${at}`).rejects.toMatchObject({ code: 'unreadable' });
    }
  });

  it('refuses a record that was taken out of the middle', async () => {
    await threeRecords();
    const lines = (await readFile(file, 'utf8')).split('\n');
    await writeFile(file, [lines[0], lines[2], ''].join('\n'));
    await expect(Journal.open(file, { repair: true })).rejects.toThrow(/line 2/);
  });
});
