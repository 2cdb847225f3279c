/**
 * `tsx bench/weight-hashes.ts`: what the check before a commit takes in a repository of 1,000 weight files of 1 MB, one of them
 * changed, with the weights in git and in git-lfs; and how fast `hash --update` is beside sha256sum. The table goes into
 * docs/weight-hash-hook.md. Needs a build, git-lfs, and 4 GB of disk under `--folder`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from 'simple-statistics';
import { SafetensorsWriter } from '../src/checkpoint/index.js';
import { keepResults, markdownTable, writeSection } from './record.js';
import { interleave, secondsOf, secondsOfProgram } from './timing.js';

const bin = fileURLToPath(new URL('../bin/run.js', import.meta.url));
const page = fileURLToPath(new URL('../docs/weight-hash-hook.md', import.meta.url));
const FILES = 1000;
/** Eight F32 matrices, 1 MiB together. */
const SHAPE = [128, 256];
const TENSORS = 8;
const ROUNDS = 7;

const { values } = parseArgs({ options: { folder: { type: 'string', default: tmpdir() } } });
const root = mkdtempSync(path.join(values.folder, 'birdbone-bench-'));
const environment = {
  ...process.env,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  XDG_RUNTIME_DIR: '/tmp',
  ...Object.fromEntries(
    ['AUTHOR', 'COMMITTER'].flatMap((who) => [
      [`GIT_${who}_NAME`, 'b'],
      [`GIT_${who}_EMAIL`, 'b@localhost'],
    ]),
  ),
};

function git(cwd: string, ...args: string[]): void {
  execFileSync('git', args, { cwd, env: environment, stdio: ['ignore', 'ignore', 'inherit'] });
}

function birdbone(cwd: string, args: readonly string[], expected: number): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    cwd,
    env: environment,
    encoding: 'utf8',
  });
  if (status !== expected) throw new Error(`birdbone ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
}

function fileOf(folder: string, index: number): string {
  return path.join(folder, `shard-${String(index).padStart(4, '0')}.safetensors`);
}

/** Bytes that no compression and no two files share; a linear congruential generator is enough for that. */
function noise(seed: number, bytes: number): Uint8Array {
  const words = new Uint32Array(bytes / 4);
  let state = seed + 1;
  for (let i = 0; i < words.length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}

async function writeWeights(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const byteLength = 4 * SHAPE.reduce((product, size) => product * size, 1);
  const infos = Array.from({ length: TENSORS }, (_, i) => ({
    name: `layers.${i}.weight`,
    dtype: 'F32' as const,
    shape: SHAPE,
    byteLength,
  }));
  for (let index = 0; index < FILES; index += 1) {
    const writer = await SafetensorsWriter.create(fileOf(folder, index), infos, {});
    for (const [i, { name }] of infos.entries()) await writer.write(name, 0, noise(index * TENSORS + i, byteLength));
    await writer.commit();
  }
}

function change(file: string): void {
  const handle = openSync(file, 'r+');
  writeSync(handle, Buffer.from([0, 0, 128, 63]), 0, 4, 500_000);
  closeSync(handle);
}

async function measureCheck(repository: string): Promise<{ clean: number; changed: number }> {
  const check = async (expected: number): Promise<number> => {
    const seconds: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      seconds.push(await secondsOf(() => birdbone(repository, ['hash', '--check', '--staged', '--quiet'], expected)));
    }
    return median(seconds);
  };
  const clean = await check(0);
  change(fileOf(path.join(repository, 'models'), 500));
  git(repository, 'add', '--all');
  return { clean, changed: await check(5) };
}

async function repositoryOf(name: string, lfs: boolean): Promise<string> {
  const repository = path.join(root, name);
  mkdirSync(repository);
  git(repository, 'init', '--quiet', '--template=');
  if (lfs) {
    git(repository, 'lfs', 'install', '--local', '--skip-repo');
    writeFileSync(path.join(repository, '.gitattributes'), '*.safetensors filter=lfs diff=lfs merge=lfs -text\n');
  }
  await writeWeights(path.join(repository, 'models'));
  birdbone(repository, ['hash', '--update', '--quiet'], 0);
  // Random bytes: there is nothing for git to compress.
  git(repository, '-c', 'core.compression=0', 'add', '--all');
  git(repository, 'commit', '--quiet', '-m', 'weights');
  return repository;
}

const milliseconds = (seconds: number): string => `${(seconds * 1000).toFixed(0)} ms`;

try {
  const start = median(Array.from({ length: ROUNDS }, () => secondsOfProgram(process.execPath, [bin, '--version'])));
  const inGit = await repositoryOf('in-git', false);
  const names = Array.from({ length: FILES }, (_, index) => fileOf(path.join(inGit, 'models'), index));
  const update = await interleave(
    5,
    () => secondsOf(() => birdbone(inGit, ['hash', '--update', '--quiet'], 0)),
    async () => secondsOfProgram('sha256sum', names),
  );
  const plain = await measureCheck(inGit);
  const pointers = await measureCheck(await repositoryOf('in-lfs', true));
  const table = markdownTable(
    ['`hash --check --staged`, 1,000 files of 1 MB', 'nothing changed', 'one changed, not recorded'],
    [
      ['weights in git', milliseconds(plain.clean), milliseconds(plain.changed)],
      ['weights in git-lfs', milliseconds(pointers.clean), milliseconds(pointers.changed)],
    ],
  );
  const speed = `\`hash --update\` of all of them takes ${update.ours.toFixed(2)} s, and \`sha256sum\` (coreutils) ${update.theirs.toFixed(2)} s: ${update.ratio.toFixed(2)} × its speed. Of each figure ${milliseconds(start)} are what \`birdbone --version\` takes too. Medians of whole processes.`;
  writeSection('weight-hashes', `${table}\n\n${speed}`, page);
  const results = { start, update, plain, pointers };
  console.log(`${table}\n\n${speed}\n${keepResults({ 'weight-hashes': results })}`);
} finally {
  rmSync(root, { recursive: true, force: true });
}
