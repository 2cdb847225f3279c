import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readCalibration, readPassages } from '../../src/corpus/index.js';
import { idsOf, wordTokenizer } from './word-tokenizer.js';

const folder = mkdtempSync(path.join(tmpdir(), 'birdbone-set-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tokenizer = wordTokenizer();
const OWN = tokenizer.fingerprint();
const USE = { windows: 128, context: 8, maxContext: 16 };

function setFile(fields: object): string {
  const file = path.join(folder, `${Math.random()}.json`);
  const passages = [
    { source: 0, ids: [1, 2, 3], text: 'a bb ccc' },
    { source: 1, ids: [4, 5], text: 'dddd eeeee' },
  ];
  writeFileSync(file, JSON.stringify({ calibrationSet: 1, tokenizer: OWN, context: 8, passages, ...fields }));
  return file;
}

describe('a calibration set as calibration', () => {
  it('gives the ids that it was made with, the first passages where fewer are asked for', async () => {
    const file = setFile({});
    const all = await readCalibration(file, tokenizer, USE);
    expect(idsOf(all.passages)).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    expect(all.notices).toEqual([]);
    expect(all.source.name).toBe(path.basename(file));
    expect(idsOf((await readCalibration(file, tokenizer, { ...USE, windows: 1 })).passages)).toEqual([[1, 2, 3]]);
  });

  it('cuts passages at a shorter context, and says so', async () => {
    const { passages, notices } = await readCalibration(setFile({}), tokenizer, { ...USE, context: 2 });
    expect(idsOf(passages)).toEqual([
      [1, 2],
      [4, 5],
    ]);
    expect(notices?.join()).toContain('cut at 2');
  });

  it('encodes its texts anew for another tokenizer, and says so', async () => {
    const file = setFile({ tokenizer: '0'.repeat(64), passages: [{ source: 0, ids: [90, 91], text: 'x yy zzz' }] });
    const { passages, notices } = await readCalibration(file, tokenizer, USE);
    expect(idsOf(passages)).toEqual([[1, 2, 3]]);
    expect(notices?.join()).toContain('another tokenizer');
  });

  it('is no text to measure on', async () => {
    const options = { protocol: 'windows', context: 2, maxContext: 16 } as const;
    await expect(readPassages(setFile({}), tokenizer, options)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('calibration set'),
    });
  });

  it.each([
    ['another version', { calibrationSet: 2 }, 'calibrationSet'],
    ['an id that is no number', { passages: [{ source: 0, ids: [1, 'x'], text: '' }] }, 'passages.0.ids.1'],
    ['a negative id', { passages: [{ source: 0, ids: [1, -1], text: '' }] }, 'passages.0.ids.1'],
    ['an id past the vocabulary', { passages: [{ source: 0, ids: [1, 100], text: '' }] }, 'token 100'],
    ['no passages', { passages: [] }, 'passages'],
    ['a passage longer than its context', { context: 2 }, 'passage 0 has 3 tokens'],
    ['a fingerprint that is none', { tokenizer: 'mine' }, 'tokenizer'],
  ])('refuses %s', async (_, fields, said) => {
    await expect(readCalibration(setFile(fields), tokenizer, USE)).rejects.toMatchObject({
      code: 'unreadable',
      message: expect.stringContaining(said),
    });
  });

  it('refuses a set that was cut off', async () => {
    const file = path.join(folder, 'cut.json');
    writeFileSync(file, '{"calibrationSet":1,"tokenizer":"');
    await expect(readCalibration(file, tokenizer, USE)).rejects.toMatchObject({ code: 'unreadable' });
  });
});
