import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const FILE = 'model.safetensors';

/** Bytes that another way to keep versions takes for the models in these folders, and the seconds it took to put them in. */
export interface RivalCost {
  readonly bytes: number;
  readonly seconds: number;
}

/** git-lfs's own object store after each model was committed over the one before. */
export async function gitLfs(folders: readonly string[], work: string): Promise<RivalCost> {
  await mkdir(work, { recursive: true });
  const git = (...words: string[]) =>
    promisify(execFile)('git', ['-c', 'user.name=series', '-c', 'user.email=series@localhost', ...words], {
      cwd: work,
    });
  await git('init', '--quiet');
  await git('lfs', 'install', '--local');
  await git('lfs', 'track', '*.safetensors');
  let seconds = 0;
  for (const [index, folder] of folders.entries()) {
    await copyFile(path.join(folder, FILE), path.join(work, FILE));
    seconds += await timed(async () => {
      await git('add', '--all');
      await git('commit', '--quiet', '--message', `State ${index}`);
    });
  }
  return { bytes: await bytesIn(path.join(work, '.git', 'lfs', 'objects')), seconds };
}

/** A restic repository with one backup of each model, compressed as it does by default. */
export async function restic(folders: readonly string[], work: string): Promise<RivalCost> {
  const repository = path.join(work, 'repository');
  const source = path.join(work, 'source');
  await mkdir(source, { recursive: true });
  const options = {
    env: {
      ...process.env,
      RESTIC_PASSWORD: 'series',
      RESTIC_REPOSITORY: repository,
      RESTIC_CACHE_DIR: path.join(work, 'cache'),
    },
  };
  const run = (...words: string[]) => promisify(execFile)('restic', ['--quiet', ...words], options);
  await run('init');
  let seconds = 0;
  for (const folder of folders) {
    await copyFile(path.join(folder, FILE), path.join(source, FILE));
    seconds += await timed(() => run('backup', source));
  }
  return { bytes: await bytesIn(repository), seconds };
}

/** A program's name and version, from the first number with a point that it prints. */
export async function versionOf(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['version']);
  return `${program} ${/\d+\.[\d.]+\d/.exec(stdout)?.[0] ?? stdout.trim()}`;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder, { recursive: true })) {
    const status = await stat(path.join(folder, name));
    if (status.isFile()) bytes += status.size;
  }
  return bytes;
}
