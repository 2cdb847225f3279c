import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The tests run on the sources, but tfjs's gradients exist only as a bundle that the build makes. */
export default function bundleGradients(): void {
  const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
  if (existsSync(path.join(root, 'dist/vendor/tfjs-gradients.js'))) return;
  execFileSync(process.execPath, [path.join(root, 'scripts/bundle-gradients.mjs')], { stdio: 'inherit' });
}
