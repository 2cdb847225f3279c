/**
 * Writes dist/vendor/thread.js: a module whose `source` is the code of a thread (src/thread.ts) in one script. A thread that starts from
 * a text needs no path, so that sources under test and the built package start the same.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const vendor = path.join(root, 'dist/vendor');

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['src/thread.ts'],
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  minifySyntax: true,
  minifyWhitespace: true,
  write: false,
  // Modules that the bundle leaves out again ask for it.
  logOverride: { 'empty-import-meta': 'silent' },
});
await mkdir(vendor, { recursive: true });
await writeFile(path.join(vendor, 'thread.js'), `export const source = ${JSON.stringify(outputFiles[0].text)};\n`);
