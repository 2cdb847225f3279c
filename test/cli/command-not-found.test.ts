import { readFileSync } from 'node:fs';
import type { Config } from '@oclif/core';
import { describe, expect, test } from 'vitest';
import commandNotFound from '../../src/cli/hooks/command-not-found.js';
import type { BirdboneError } from '../../src/errors.js';

const manifest = JSON.parse(readFileSync(new URL('../../oclif.manifest.json', import.meta.url), 'utf8')) as {
  readonly commands: Readonly<Record<string, object>>;
};
const commandIDs = Object.keys(manifest.commands);

/** What birdbone answers to a name as oclif hands it over: words joined by colons. */
async function answerTo(id: string): Promise<BirdboneError> {
  const config = { commandIDs, findCommand: (name: string) => manifest.commands[name] } as unknown as Config;
  const call = commandNotFound as unknown as (options: { id: string; config: Config }) => Promise<void>;
  return call({ id, config }).then(
    () => expect.unreachable('nothing was thrown'),
    (error: BirdboneError) => error,
  );
}

describe('a command that is not there', () => {
  test.each([
    ['bnech', 'bnech', 'bench'],
    ['bnech:models/fledgling', 'bnech', 'bench'],
    ['prun:models/fledgling:x', 'prun', 'prune'],
    ['hooks:instal', 'hooks instal', 'hooks install'],
    ['hook:install:more', 'hook install', 'hooks install'],
  ])('%s: names %s and what it may have meant', async (id, typed, meant) => {
    const { message, suggestions } = await answerTo(id);
    expect(message).toContain(`no command "${typed}".`);
    expect(suggestions[0]).toBe(`birdbone ${meant} --help`);
  });

  test.each([
    ['xyzzyxyzzy:models/fledgling', 'xyzzyxyzzy'],
    ['hooks:xyzzyxyzzyxyzzy', 'hooks xyzzyxyzzyxyzzy'],
  ])('%s: names %s and every command there is', async (id, typed) => {
    const { message, suggestions } = await answerTo(id);
    expect(message).toContain(`no command "${typed}". Known: advise, bench,`);
    expect(message).toContain('hooks install');
    expect(suggestions).toEqual(['birdbone --help']);
  });

  test('a command without arguments says that it takes none', async () => {
    const { message, suggestions } = await answerTo('doctor:twice:over');
    expect(message).toBe('birdbone doctor takes no argument "twice over".');
    expect(suggestions).toEqual(['birdbone doctor --help']);
  });
});
