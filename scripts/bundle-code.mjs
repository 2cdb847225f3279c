/**
 * Writes the package's code into dist: one file for each command, for the library's entry and for what `bin/run.js` imports, and
 * chunks that they share. A module costs Node its look-up, its reading and its linking, so a command that loads a hundred source
 * files starts sooner from ten; what is imported lazily stays in chunks of its own. Dependencies are left as they are.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { globSync } from 'tinyglobby';
import { withDirectImports } from './direct-imports.mjs';
import { requiredPackages } from './required-packages.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

await build({
  absWorkingDir: root,
  entryPoints: [
    'src/index.ts',
    'src/cli/main.ts',
    'src/benchmarking/probe.ts',
    ...globSync(['src/commands/**/*.ts', 'src/cli/hooks/*.ts'], { cwd: root }).sort(),
  ],
  outdir: 'dist',
  outbase: 'src',
  bundle: true,
  splitting: true,
  // Beside dist/index.js, so that `../package.json` is the same file from a chunk as from a source file of src/.
  chunkNames: '[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  // Names of package.json's "imports": files that other scripts write.
  external: ['#*'],
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
  plugins: [
    requiredPackages,
    {
      name: 'direct-imports',
      setup({ onLoad }) {
        onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path: file }) => ({
          contents: withDirectImports(await readFile(file, 'utf8'), file),
          loader: 'ts',
        }));
      },
    },
  ],
});
