/** `npm run build`: makes dist, oclif.manifest.json and docs/commands.md, unless they are what these sources make already. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isBuilt, recordBuild, touchBuild } from './build-record.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

if (isBuilt(root)) {
  touchBuild(root);
  console.log('What there is was built from these sources. To build it all the same: npm run clean && npm run build');
} else {
  const { status } = spawnSync('npm', ['run', 'build:all'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
  recordBuild(root);
}
