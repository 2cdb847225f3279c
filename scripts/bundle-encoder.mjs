/**
 * Writes dist/vendor/encode-worker.js, round-worker.js and digest-worker.js: modules whose `source` is the code of the threads that
 * encode blocks, that round rows and that hash tensors, each in one script. A thread that starts from a text needs no path, so that sources under test and the built package
 * start the same.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ENTRIES = ['src/ggml/encode-worker.ts', 'src/quantization/round-worker.ts', 'src/manifest/digest-worker.ts'];

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const vendor = path.join(root, 'dist/vendor');

await mkdir(vendor, { recursive: true });
for (const entry of ENTRIES) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
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
  const code = `export const source = ${JSON.stringify(outputFiles[0].text)};\n`;
  await writeFile(path.join(vendor, `${path.basename(entry, '.ts')}.js`), code);
}
