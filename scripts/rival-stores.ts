import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const FILE = 'model.safetensors';

/** Bytes in git-lfs's own object store after each model was committed over the one before. */
export async function gitLfs(folders: readonly string[], work: string): Promise<number> {
  await mkdir(work, { recursive: true });
  const git = (...words: string[]) =>
    promisify(execFile)('git', ['-c', 'user.name=series', '-c', 'user.email=series@localhost', ...words], {
      cwd: work,
    });
  await git('init', '--quiet');
  await git('lfs', 'install', '--local');
  await git('lfs', 'track', '*.safetensors');
  for (const [index, folder] of folders.entries()) {
    await copyFile(path.join(folder, FILE), path.join(work, FILE));
    await git('add', '--all');
    await git('commit', '--quiet', '--message', `State ${index}`);
  }
  return bytesIn(path.join(work, '.git', 'lfs', 'objects'));
}

/** Bytes of a restic repository with one backup of each model, compressed as it does by default. */
export async function restic(folders: readonly string[], work: string): Promise<number> {
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
  for (const folder of folders) {
    await copyFile(path.join(folder, FILE), path.join(source, FILE));
    await run('backup', source);
  }
  return bytesIn(repository);
}

/** A program's name and version, from the first number with a point that it prints. */
export async function versionOf(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['version']);
  return `${program} ${/\d+\.[\d.]+\d/.exec(stdout)?.[0] ?? stdout.trim()}`;
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder, { recursive: true })) {
    const status = await stat(path.join(folder, name));
    if (status.isFile()) bytes += status.size;
  }
  return bytes;
}
