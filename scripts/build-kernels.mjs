/**
 * Writes dist/vendor/<name>.js for each WebAssembly text file of src/: a module whose `wasm` is the compiled bytes, so that
 * the same import serves sources under test and the built package, without a path to resolve.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import openWabt from 'wabt';

const KERNELS = [
  'src/differences/pair-sums.wat',
  'src/ggml/block-search.wat',
  'src/quantization/rounding.wat',
  'src/tensor/widen.wat',
];

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const vendor = path.join(root, 'dist/vendor');

const wabt = await openWabt();
await mkdir(vendor, { recursive: true });
for (const source of KERNELS) {
  const text = await readFile(path.join(root, source), 'utf8');
  const module = wabt.parseWat(source, text, { simd: true, bulk_memory: true });
  try {
    module.validate({ simd: true, bulk_memory: true });
    const { buffer } = module.toBinary({});
    const base64 = Buffer.from(buffer).toString('base64');
    const code = `export const wasm = Buffer.from('${base64}', 'base64');\n`;
    await writeFile(path.join(vendor, `${path.basename(source, '.wat')}.js`), code);
  } finally {
    module.destroy();
  }
}
