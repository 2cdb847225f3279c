import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isBuilt, recordBuild, touchBuild } from '../scripts/build-record.mjs';

let root: string;
const at = (name: string): string => path.join(root, name);
function write(name: string, text: string): void {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text);
}

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'birdbone-build-'));
  const inputs = ['src/a/b.ts', 'src/a/kernel.wat', 'scripts/bundle.mjs', 'package.json', 'tsconfig.build.json'];
  const outputs = ['dist/a.js', 'dist/commands/b.js', 'oclif.manifest.json', 'docs/commands.md'];
  for (const name of [...inputs, ...outputs, 'node_modules/.package-lock.json', 'docs/other.md']) write(name, name);
  recordBuild(root);
});
afterEach(() => rmSync(root, { recursive: true }));

describe('isBuilt', () => {
  it('is so until something that counts is changed', () => {
    expect(isBuilt(root)).toBe(true);
    write('docs/other.md', 'changed');
    utimesSync(at('src/a/b.ts'), new Date(), new Date());
    expect(isBuilt(root)).toBe(true);
  });

  it.each([
    'src/a/b.ts',
    'src/a/kernel.wat',
    'scripts/bundle.mjs',
    'package.json',
    'tsconfig.build.json',
    'node_modules/.package-lock.json',
    'dist/a.js',
    'dist/commands/b.js',
    'oclif.manifest.json',
    'docs/commands.md',
    'dist/.built',
  ])('is not so when %s is changed, nor when it is gone, and is again when it is back', (name) => {
    const before = readFileSync(at(name), 'utf8');
    write(name, `${before} `);
    expect(isBuilt(root)).toBe(false);
    rmSync(at(name));
    expect(isBuilt(root)).toBe(false);
    write(name, before);
    expect(isBuilt(root)).toBe(true);
  });

  it.each(['src/a/new.ts', 'scripts/new.mjs', 'dist/new.js'])('is not so when there is also %s', (name) => {
    write(name, '');
    expect(isBuilt(root)).toBe(false);
  });

  it('is not so when bytes have gone from one file to the next', () => {
    write('src/a/b.ts', 'src/a/b.tss');
    write('src/a/kernel.wat', 'rc/a/kernel.wat');
    expect(isBuilt(root)).toBe(false);
  });
});

it('touchBuild makes what was built newer than what it was built from', () => {
  const old = new Date(Date.now() - 60_000);
  utimesSync(at('dist/commands/b.js'), old, old);
  touchBuild(root);
  expect(statSync(at('dist/commands/b.js')).mtimeMs).toBeGreaterThanOrEqual(statSync(at('src/a/b.ts')).mtimeMs);
  expect(isBuilt(root)).toBe(true);
});
