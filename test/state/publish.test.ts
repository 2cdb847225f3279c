import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { historyOf } from '../../src/state/history.js';
import { Journal } from '../../src/state/journal.js';
import { settlePublication } from '../../src/state/publish.js';
import { type StateFolder, stateFolder } from '../../src/state/state-folder.js';

let root: string;
let folder: StateFolder;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'birdbone-publish-'));
  folder = stateFolder(path.join(root, 'result'));
  await mkdir(folder.root, { recursive: true });
});
afterEach(() => rm(root, { recursive: true }));

async function output(at: string, version: string): Promise<void> {
  await mkdir(at, { recursive: true });
  await writeFile(path.join(at, 'birdbone.json'), manifestOf(version));
}

const manifestOf = (version: string) => `{"version":"${version}"}`;
const digestOfVersion = (version: string) => createHash('sha256').update(manifestOf(version)).digest('hex');
const versionAt = async (at: string) =>
  JSON.parse(await readFile(path.join(at, 'birdbone.json'), 'utf8')).version as string;

async function journalWith(...records: { type: string }[]): Promise<Journal> {
  const journal = await Journal.open(folder.journal, { repair: true });
  for (const record of records) await journal.append(record);
  return journal;
}

/** Each state of the disk that a crash between two steps of `publish` can leave, and which output must be there afterwards. */
const STATES: { name: string; recorded: boolean; make: () => Promise<void>; after: string | undefined }[] = [
  {
    name: 'while the first result is being written',
    recorded: false,
    make: () => output(folder.publishing, 'half-written'),
    after: undefined,
  },
  {
    name: 'while a second result is being written',
    recorded: false,
    make: async () => {
      await output(folder.out, 'old');
      await output(folder.publishing, 'half-written');
    },
    after: 'old',
  },
  { name: 'before the first rename', recorded: true, make: () => output(folder.publishing, 'new'), after: 'new' },
  {
    name: 'before the old result is moved away',
    recorded: true,
    make: async () => {
      await output(folder.out, 'old');
      await output(folder.publishing, 'new');
    },
    after: 'new',
  },
  {
    name: 'between the two renames',
    recorded: true,
    make: async () => {
      await output(folder.replaced, 'old');
      await output(folder.publishing, 'new');
    },
    after: 'new',
  },
  {
    name: 'after the renames, before the record',
    recorded: true,
    make: async () => {
      await output(folder.replaced, 'old');
      await output(folder.out, 'new');
    },
    after: 'new',
  },
];

describe('settlePublication after a crash', () => {
  for (const { name, recorded, make, after } of STATES) {
    it(`${name}: ${after === undefined ? 'no' : `the ${after}`} output, and nothing beside it`, async () => {
      await make();
      const replaces = digestOfVersion('old');
      const begin = { type: 'begin', replaces };
      const journal = await journalWith(...(recorded ? [begin, { type: 'publish' }] : [begin]));
      await settlePublication(folder, journal);
      expect(existsSync(folder.out) ? await versionAt(folder.out) : undefined).toBe(after);
      expect(existsSync(folder.publishing)).toBe(false);
      expect(existsSync(folder.replaced)).toBe(false);
      expect(historyOf(journal.records).stale).toBe(!recorded);
      expect(historyOf(journal.records).publishing).toBe(false);
    });
  }

  it.each(['somebody else', 'a later result'])('leaves an output alone that is of %s', async (whose) => {
    await output(folder.out, whose);
    await output(folder.publishing, 'new');
    const journal = await journalWith({ type: 'publish' });
    await expect(settlePublication(folder, journal)).rejects.toThrow(/is not replaced/);
    expect(await versionAt(folder.out)).toBe(whose);
    await rm(folder.out, { recursive: true });
    await settlePublication(folder, journal);
    expect(await versionAt(folder.out)).toBe('new');
  });

  it('does nothing the second time', async () => {
    await output(folder.publishing, 'new');
    const journal = await journalWith({ type: 'publish' });
    await settlePublication(folder, journal);
    const count = journal.records.length;
    await settlePublication(folder, await Journal.open(folder.journal, { repair: true }));
    expect((await Journal.open(folder.journal, { repair: false })).records).toHaveLength(count);
    expect(await versionAt(folder.out)).toBe('new');
  });
});

describe('names beside an output', () => {
  it('are another run’s own where the state is another', () => {
    const [first, second, usual] = [
      stateFolder('out/half', 'a'),
      stateFolder('out/half', 'b'),
      stateFolder('out/half'),
    ];
    for (const name of ['publishing', 'replaced'] as const) {
      expect(new Set([first[name], second[name], usual[name]]).size).toBe(3);
      expect(first[name]).toBe(stateFolder('out/half', 'a')[name]);
    }
  });
});
