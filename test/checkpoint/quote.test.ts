import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shellWord } from '../../src/checkpoint/index.js';

/** The arguments that bash makes of a line. */
const argumentsOf = (line: string): string[] =>
  execFileSync('bash', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);

describe('shellWord', () => {
  it('leaves names alone that need nothing', () => {
    expect(shellWord('models/fledgling-2.safetensors')).toBe('models/fledgling-2.safetensors');
  });

  it.each([
    'a b',
    "it's",
    '$(reboot)',
    '`id`',
    'a;b',
    'a\nb',
    '\u001b[31m',
    '*',
    '~',
    '',
    'ü\u202e',
    "$'\\x41'",
    '!x',
    '#y',
  ])('is one word to a shell: %j', (name) => {
    const word = shellWord(name);
    expect(argumentsOf(word)).toEqual([name]);
    expect(word).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it('is no option', () => {
    expect(shellWord('-rf')).toBe('./-rf');
    expect(argumentsOf(shellWord('--x y'))).toEqual(['./--x y']);
  });

  it('is the same word whatever the name is', () => {
    const names = fc.array(
      fc.string({ unit: 'binary', minLength: 1 }).map((text) => text.replaceAll('\0', '').toWellFormed()),
    );
    fc.assert(
      fc.property(names, (list) => {
        const made = argumentsOf(list.map(shellWord).join(' '));
        // printf prints one empty argument where there are none.
        expect(list.length === 0 ? [] : made).toEqual(list.map((name) => (name.startsWith('-') ? `./${name}` : name)));
      }),
      { numRuns: 10 },
    );
  });
});
