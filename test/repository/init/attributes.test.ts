import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { attributeFile, stateOf } from '../../../src/repository/init/attribute-rules.js';
import { mergeAttributes } from '../../../src/repository/init/attributes.js';
import { LFS_ATTRIBUTES, WEIGHT_PATTERNS } from '../../../src/repository/init/weight-patterns.js';

const repository = mkdtempSync(path.join(tmpdir(), 'birdbone-attributes-'));
execFileSync('git', ['init', '-q'], { cwd: repository });
afterAll(() => rmSync(repository, { recursive: true, force: true }));

/** What git itself makes of a .gitattributes file. */
function checkAttr(text: string, paths: readonly string[], ...attributes: string[]): string[] {
  writeFileSync(path.join(repository, '.gitattributes'), text, 'latin1');
  const output = execFileSync('git', ['check-attr', '-z', '--stdin', ...attributes], {
    cwd: repository,
    input: paths.map((name) => `${name}\0`).join(''),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  return output.split('\0').filter((_, index) => index % 3 === 2);
}

/** Paths at every depth, with every ending. */
const WEIGHTS = WEIGHT_PATTERNS.flatMap((pattern) =>
  ['model', 'a/model', 'a/b/c/model'].map((stem) => stem + pattern.slice(1)),
);

describe('attributeFile', () => {
  const component = fc.constantFrom(
    'a',
    'b',
    '*',
    '**',
    'a*',
    '*.pt',
    '*t',
    'a?',
    '[a-b]',
    '[!a]',
    '[]a]',
    '\\*',
    'm.pt',
    '*a*b*',
  );
  const pattern = fc
    .tuple(fc.boolean(), fc.array(component, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([rooted, parts, ended]) => `${rooted ? '/' : ''}${parts.join('/')}${ended ? '/' : ''}`);
  const state = fc.constantFrom(
    'filter=lfs',
    '-filter',
    '!filter',
    'filter',
    'filter=other',
    'binary',
    'mine',
    '-mine',
  );
  const rule = fc.tuple(pattern, state).map((words) => words.join(' '));
  const name = fc.constantFrom('a', 'b', 'ab', 'm.pt', 'a.pt', '*', ']', 'aab', 'b.t');
  const file = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

  it('finds the states that git finds', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 5 }), fc.array(file, { minLength: 6, maxLength: 6 }), (lines, paths) => {
        const text = ['[attr]mine filter=own -text', ...lines, ''].join('\n');
        const rules = attributeFile(text);
        const ours = paths.flatMap((each) => ['filter', 'text'].map((name) => stateOf(rules, each, name).state));
        expect(ours, text).toEqual(checkAttr(text, paths, 'filter', 'text'));
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  it.each([
    ['quoted patterns', '"a b.pt" -filter\n', 'a b.pt'],
    ['CRLF', '*.pt filter=lfs\r\n*.pt -filter\r\n', 'x.pt'],
    ['a byte order mark', '\u00ef\u00bb\u00bf*.pt -filter\n', 'x.pt'],
    ['comments and blank lines', '# *.pt filter=lfs\n\n  *.pt -filter\n', 'x.pt'],
    ['negative patterns, which git ignores', '*.pt -filter\n!*.pt filter=lfs\n', 'x.pt'],
  ])('reads %s as git does', (_what, text, file) => {
    expect(checkAttr(text, [file], 'filter')).toEqual(['unset']);
    expect(stateOf(attributeFile(text), file, 'filter').state).toBe('unset');
  });

  it('takes hostile patterns in time', () => {
    const pattern = `${'*a'.repeat(5000)}b`;
    const began = process.cpuUsage();
    expect(stateOf(attributeFile(`${pattern} -filter\n`), 'a'.repeat(40), 'filter').state).toBe('unspecified');
    expect(process.cpuUsage(began).user / 1e6).toBeLessThan(1);
  });
});

describe('mergeAttributes', () => {
  it('sends every kind of weights through git-lfs, at every depth', () => {
    const { text, conflicts } = mergeAttributes('');
    expect(conflicts).toEqual([]);
    expect(new Set(checkAttr(text, WEIGHTS, 'filter', 'diff', 'merge'))).toEqual(new Set(['lfs']));
    expect(new Set(checkAttr(text, WEIGHTS, 'text'))).toEqual(new Set(['unset']));
    expect(text).toContain(`*.pt ${LFS_ATTRIBUTES}\n`);
  });

  it.each([
    ['nothing', ''],
    ['a text', '* text=auto\n*.png binary\n'],
    ['a last line without an end', '* text=auto'],
    ['CRLF', '* text=auto\r\n*.png binary\r\n'],
    ['some of the lines', '*.pt filter=lfs diff=lfs merge=lfs -text\n'],
    ['an exception', '# ours\n*.pt filter=lfs diff=lfs merge=lfs -text\n# fixtures\ntest/*.bin -filter\n'],
    ['bytes that are no UTF-8', '# caf\u00e9\n'],
  ])('adds to %s once, and leaves each line that was there', (_what, before) => {
    const { text } = mergeAttributes(before);
    expect(text).not.toBe(before);
    expect(mergeAttributes(text).text).toBe(text);
    const kept = text.split('\n').map((line) => line.trimEnd());
    for (const line of before.split(/\r?\n/)) expect(kept).toContain(line);
    const own = text.split(/\r?\n/).filter((line) => line.startsWith('*.pt '));
    expect(own).toHaveLength(1);
  });

  it('ends its lines as the file does', () => {
    const { text } = mergeAttributes('* text=auto\r\n*.png binary\r\n');
    expect(text.match(/(?<!\r)\n/)).toBeNull();
    expect(new Set(checkAttr(text, WEIGHTS, 'filter'))).toEqual(new Set(['lfs']));
  });

  it('fills a block that lacks lines, within its marks', () => {
    const { text } = mergeAttributes('*.md text\n');
    const cut = text.replace(/^\*\.gguf.*\n/m, '');
    expect(mergeAttributes(`${cut}# mine\n`).text.split('\n').sort()).toEqual(`${text}# mine\n`.split('\n').sort());
    expect(mergeAttributes(`${cut}# mine\n`).text.endsWith('# <<< birdbone\n# mine\n')).toBe(true);
  });

  it('reports a rule against a whole pattern, and lets it win', () => {
    const before = '*.txt text\n*.bin -filter\n';
    const { text, conflicts } = mergeAttributes(before);
    expect(checkAttr(text, ['x.bin', 'a/x.bin', 'x.pt'], 'filter')).toEqual(['unset', 'unset', 'lfs']);
    expect(conflicts).toEqual([
      {
        file: '.gitattributes',
        line: Number(text.split('\n').indexOf('*.bin -filter')) + 1,
        what: '"*.bin -filter" keeps *.bin out of git-lfs',
        fix: 'Remove "-filter" from that line, or leave it if this is what you want.',
      },
    ]);
    expect(text).not.toMatch(/^\*\.bin filter/m);
  });

  it('keeps exceptions for a folder in force', () => {
    const before = '*.txt text\n\n# small, on purpose\ntest/fixtures/*.bin -filter\nvendor/** filter=git-crypt\n';
    const { text, conflicts } = mergeAttributes(before);
    const paths = ['test/fixtures/x.bin', 'vendor/x.pt', 'x.bin', 'test/x.bin'];
    expect(checkAttr(text, paths, 'filter')).toEqual(['unset', 'git-crypt', 'lfs', 'lfs']);
    expect(conflicts).toEqual([]);
    expect(text.endsWith(before.slice(before.indexOf('# small')))).toBe(true);
  });

  it('takes a macro for what it stands for', () => {
    const before = '[attr]own filter=git-crypt\nvendor/* own\n*.zip own\n';
    const { text, conflicts } = mergeAttributes(before);
    expect(checkAttr(text, ['vendor/x.pt', 'x.zip', 'x.pt'], 'filter')).toEqual(['git-crypt', 'git-crypt', 'lfs']);
    expect(conflicts.map(({ what }) => what)).toEqual(['"*.zip filter=git-crypt" keeps *.zip out of git-lfs']);
  });

  it('reports line ends that git would change', () => {
    const { conflicts } = mergeAttributes('test/*.bin -filter\n* text=auto\n');
    expect(conflicts).toHaveLength(WEIGHT_PATTERNS.length);
    expect(conflicts[0]).toMatchObject({ what: '"* text=auto" lets git change line ends in *.safetensors' });
  });
});
