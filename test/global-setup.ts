import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** What exists only as the build makes it, and the script that does. */
const MADE = {
  'tfjs-gradients.js': 'bundle-gradients.mjs',
  'pair-sums.js': 'build-kernels.mjs',
};

/** The tests run on the sources, but some modules are made by the build. */
export default function makeVendorModules(): void {
  const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
  for (const [module, script] of Object.entries(MADE)) {
    if (existsSync(path.join(root, 'dist/vendor', module))) continue;
    execFileSync(process.execPath, [path.join(root, 'scripts', script)], { stdio: 'inherit' });
  }
}
