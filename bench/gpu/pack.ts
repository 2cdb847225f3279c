/**
 * `npm run bench:gpu:pack`: writes bench-gpu.tar.xz (`--out FILE`), some 45 MB, with everything that bench/gpu takes on a Linux machine
 * of this architecture that has a GPU with a Vulkan driver and neither Node.js nor network:
 *
 *   tar xJf bench-gpu.tar.xz -C /tmp && /tmp/bench-gpu/run.sh --out results.json
 *
 * Where there is no xz, Python unpacks it: python3 -m tarfile -e bench-gpu.tar.xz /tmp. Needs a build, and libvulkan1 installed here.
 */
import { execFileSync } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { commit, megabytes } from '../machine.js';
import { bundleGpuBench } from './bundle.js';

/** A container may have NVIDIA's driver where no loader looks for it. */
const RUN = (commitOfCode: string) => `#!/bin/sh
# Runs the bench with the Node.js and, where the machine has none, the Vulkan loader that lie beside this script.
here=$(cd "$(dirname "$0")" && pwd)
ldconfig -p 2>/dev/null | grep -q 'libvulkan\\.so\\.1' || export LD_LIBRARY_PATH="$here/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
for driver in /usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json /usr/local/nvidia/vulkan/icd.d/nvidia_icd.json; do
  if [ -z "$VK_DRIVER_FILES" ] && [ -e "$driver" ]; then export VK_DRIVER_FILES="$driver"; fi
done
export XDG_RUNTIME_DIR="\${XDG_RUNTIME_DIR:-/tmp}" BENCH_COMMIT=${commitOfCode}
exec "$here/node" "$here/app/bench-gpu.mjs" "$@"
`;

const { values } = parseArgs({ options: { out: { type: 'string', default: 'bench-gpu.tar.xz' } } });
if (process.platform !== 'linux') throw new Error('The archive is for Linux, and is made there.');
const parent = await mkdtemp(path.join(tmpdir(), 'birdbone-pack-'));
try {
  const folder = path.join(parent, 'bench-gpu');
  await bundleGpuBench(folder);
  await mkdir(path.join(folder, 'lib'));
  await copyFile(vulkanLoader(), path.join(folder, 'lib', 'libvulkan.so.1'));
  await copyFile(process.execPath, path.join(folder, 'node'));
  execFileSync('strip', ['--strip-unneeded', path.join(folder, 'node')]);
  await writeFile(path.join(folder, 'run.sh'), RUN(commit()));
  await chmod(path.join(folder, 'run.sh'), 0o755);
  const out = path.resolve(values.out);
  execFileSync('tar', ['cJf', out, '-C', parent, 'bench-gpu'], { env: { ...process.env, XZ_OPT: '-T0 -1' } });
  console.log(`${out}: ${megabytes((await stat(out)).size)}`);
} finally {
  await rm(parent, { recursive: true, force: true });
}

function vulkanLoader(): string {
  const known = execFileSync('ldconfig', ['-p'], { encoding: 'utf8' });
  const file = /libvulkan\.so\.1 .*=> (\S+)/.exec(known)?.[1];
  if (file === undefined) throw new Error('There is no Vulkan loader here to pack: apt-get install libvulkan1.');
  return file;
}
