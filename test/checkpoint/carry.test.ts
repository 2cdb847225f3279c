import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { carryFile, planCarry } from '../../src/checkpoint/carry.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';

/** A folder with these files; each holds its own name. */
function folderOf(...names: string[]): string {
  const folder = temporaryFolder();
  put(folder, ...names);
  return folder;
}

function put(folder: string, ...names: string[]): void {
  for (const name of names) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), name);
  }
}

async function carried(folder: string): Promise<string[]> {
  return (await planCarry(folder, temporaryFolder())).files.map(({ name }) => name);
}

async function left(folder: string): Promise<string[]> {
  return (await planCarry(folder, temporaryFolder())).left.map(({ name, reason }) => `${name}: ${reason}`);
}

describe('planCarry', () => {
  it('takes all but weights, hidden entries and what speaks of the old bytes', async () => {
    const folder = folderOf(
      ...['config.json', 'tokenizer.model', 'LICENSE', 'README.md', 'merges.txt', 'chat_template.jinja', 'modeling.py'],
      ...[
        'model.safetensors',
        'model-00001-of-00002.safetensors',
        'model.safetensors.index.json',
        'adapter.safetensors',
      ],
      ...[
        'pytorch_model.bin',
        'pytorch_model.bin.index.json',
        'consolidated.00.pth',
        'model.pt',
        'm.gguf',
        'tf_model.h5',
      ],
      ...['flax_model.msgpack', 'model.onnx', 'birdbone.json', 'SHA256SUMS'],
      ...['.gitattributes', '.git/config', '.cache/huggingface/x'],
    );
    expect(await carried(folder)).toEqual([
      'LICENSE',
      'README.md',
      'chat_template.jinja',
      'config.json',
      'merges.txt',
      'modeling.py',
      'tokenizer.model',
    ]);
    expect(await left(folder)).toEqual([]);
  });

  it('takes small subfolders whole, without what is hidden in them', async () => {
    const folder = folderOf('config.json', '1_Pooling/config.json', 'a/b/c/d.txt', 'a/.DS_Store', 'a/.git/HEAD');
    expect(await carried(folder)).toEqual(['1_Pooling/config.json', 'a/b/c/d.txt', 'config.json'].map(path.normalize));
  });

  it.each([
    ['weights', (folder: string) => put(folder, 'sub/notes.txt', 'sub/deep/pytorch_model.bin')],
    ['another result', (folder: string) => put(folder, 'sub/config.json', 'sub/birdbone.json')],
    ['over 100 files', (folder: string) => put(folder, ...Array.from({ length: 101 }, (_, i) => `sub/${i}.txt`))],
    [
      'over 100 folders',
      (folder: string) => {
        for (let i = 0; i < 101; i += 1) mkdirSync(path.join(folder, 'sub', `${i}`), { recursive: true });
      },
    ],
    [
      'over 50 MB',
      (folder: string) => {
        put(folder, 'sub/data.bin.txt');
        truncateSync(path.join(folder, 'sub', 'data.bin.txt'), 50_000_001);
      },
    ],
  ])('leaves a subfolder with %s, and says so', async (_, fill) => {
    const folder = folderOf('config.json');
    fill(folder);
    expect(await carried(folder)).toEqual(['config.json']);
    expect(await left(folder)).toEqual([expect.stringMatching(/^sub: a folder with weights of its own, or/)]);
  });

  it('does not take the folder that is being written, on the top level or deeper', async () => {
    const folder = folderOf('config.json', 'out/config.json', 'runs/one/config.json', 'runs/notes.txt');
    expect((await planCarry(folder, path.join(folder, 'out'))).files.map(({ name }) => name)).not.toContain(
      'out/config.json',
    );
    expect((await planCarry(folder, path.join(folder, 'runs', 'one'))).files.map(({ name }) => name)).toEqual([
      'config.json',
      path.join('out', 'config.json'),
    ]);
  });

  it('takes nothing along for a lone file, whose neighbours are not its own', async () => {
    const folder = folderOf('config.json', 'model.safetensors');
    expect(await carried(path.join(folder, 'model.safetensors'))).toEqual([]);
  });

  it('names a folder that is not there', async () => {
    const folder = path.join(temporaryFolder(), 'none');
    await expect(planCarry(folder, temporaryFolder())).rejects.toMatchObject({ code: 'unreadable', file: folder });
  });
});

describe.skipIf(process.platform === 'win32')('links and other things in a model folder', () => {
  it('follows links within the folder', async () => {
    const folder = folderOf('config.json');
    symlinkSync('config.json', path.join(folder, 'other.json'));
    const { files } = await planCarry(folder, temporaryFolder());
    expect(files.map(({ name, source }) => [name, path.basename(source)])).toEqual([
      ['config.json', 'config.json'],
      ['other.json', 'config.json'],
    ]);
  });

  it('follows the links of the Hugging Face cache into its blobs', async () => {
    const root = folderOf('blobs/1f', 'snapshots/abc/LICENSE');
    const snapshot = path.join(root, 'snapshots', 'abc');
    symlinkSync('../../blobs/1f', path.join(snapshot, 'config.json'));
    expect(await carried(snapshot)).toEqual(['LICENSE', 'config.json']);
  });

  it.each([
    ['to a file elsewhere', (outside: string) => path.join(outside, 'id_ed25519'), 'leaves the folder'],
    ['to a folder elsewhere', (outside: string) => outside, 'leaves the folder'],
    ['to a device', () => '/dev/zero', 'leaves the folder'],
    ['that leads nowhere', () => 'nowhere', 'leads nowhere'],
    ['to itself', () => 'link', 'leads nowhere'],
    ['to the folder', () => '.', 'leaves the folder'],
    ['to a subfolder', () => 'sub', 'to no regular file'],
  ])('leaves a link %s, and says so', async (_, target, reason) => {
    const outside = folderOf('id_ed25519');
    const folder = folderOf('config.json', 'sub/x.txt');
    symlinkSync(target(outside), path.join(folder, 'link'));
    expect(await carried(folder)).not.toContain('link');
    expect(await left(folder)).toEqual([expect.stringContaining(`link: a symbolic link`)]);
    expect((await left(folder))[0]).toContain(reason);
  });

  it('leaves links out of a subfolder, and links into a folder that only looks like the cache', async () => {
    const root = folderOf('blobs/1f', 'models/abc/config.json', 'models/abc/sub/x.txt');
    const folder = path.join(root, 'models', 'abc');
    symlinkSync('../../blobs/1f', path.join(folder, 'notes.txt'));
    symlinkSync('../../../blobs/1f', path.join(folder, 'sub', 'notes.txt'));
    expect(await carried(folder)).toEqual(['config.json', path.join('sub', 'x.txt')]);
    expect(await left(folder)).toHaveLength(2);
  });

  it('leaves a folder whose name starts like the model’s', async () => {
    const root = folderOf('model/config.json', 'model-secret/key');
    symlinkSync('../model-secret/key', path.join(root, 'model', 'key'));
    expect(await carried(path.join(root, 'model'))).toEqual(['config.json']);
  });

  it('leaves pipes without waiting for them', async () => {
    const folder = folderOf('config.json');
    execFileSync('mkfifo', [path.join(folder, 'pipe')]);
    expect(await left(folder)).toEqual(['pipe: no regular file']);
  });
});

describe('carryFile', () => {
  it('copies a file, of several chunks too, into folders that it makes', async () => {
    const [from, to] = [temporaryFolder(), temporaryFolder()];
    const bytes = Buffer.alloc(9_000_001, 'birdbone');
    put(from, 'a/b/x.txt');
    writeFileSync(path.join(from, 'a', 'b', 'x.txt'), bytes);
    const [file] = (await planCarry(from, to)).files;
    await carryFile(file!, to);
    expect(readFileSync(path.join(to, 'a', 'b', 'x.txt')).equals(bytes)).toBe(true);
  });

  it('copies an empty file', async () => {
    const [from, to] = [folderOf('x'), temporaryFolder()];
    writeFileSync(path.join(from, 'x'), '');
    await carryFile((await planCarry(from, to)).files[0]!, to);
    expect(readdirSync(to)).toEqual(['x']);
  });

  it('does not replace a file, and names what is gone', async () => {
    const [from, to] = [folderOf('x'), temporaryFolder()];
    const [file] = (await planCarry(from, to)).files;
    put(to, 'x');
    await expect(carryFile(file!, to)).rejects.toMatchObject({ code: 'unwritable', file: path.join(to, 'x') });
    rmSync(path.join(from, 'x'));
    await expect(carryFile(file!, to)).rejects.toMatchObject({ code: 'unreadable', file: path.join(from, 'x') });
  });
});
