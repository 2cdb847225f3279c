/**
 * Writes dist/vendor/tfjs-gradients.js: the gradient functions of @tensorflow/tfjs-core as one module that Node can load.
 * The package's own files for them are ES modules without file extensions, which only bundlers resolve, and its Node build
 * leaves them out. The registry that they fill belongs to the process, so that the bundle's copies of the operations serve
 * the one engine that everything else uses.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

await build({
  stdin: {
    contents: "import '@tensorflow/tfjs-core/dist/register_all_gradients';",
    resolveDir: root,
  },
  outfile: path.join(root, 'dist/vendor/tfjs-gradients.js'),
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  mainFields: ['module', 'main'],
  minify: true,
  legalComments: 'linked',
  logLevel: 'warning',
});
