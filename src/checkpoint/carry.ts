import type { Dirent } from 'node:fs';
import { mkdir, open, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { FileSource } from './files/bytes.js';
import { syncFolder, writing } from './files/durable.js';
import { unreadableBecause } from './files/failure.js';

/** A file that goes along with the weights. */
export interface CarriedFile {
  /** Relative to the folder, with the system's separators. */
  readonly name: string;
  /** Where its bytes are, links resolved. */
  readonly source: string;
}

export interface CarryPlan {
  readonly files: readonly CarriedFile[];
  /** What stays behind though its owner might expect it, and why. */
  readonly left: readonly { readonly name: string; readonly reason: string }[];
}

/** Weights in any format, and the indexes over them: the new checkpoint has its own. */
const WEIGHTS = /\.(?:safetensors|bin|pt|pth|th|ckpt|gguf|h5|msgpack|onnx)(?:\.index\.json)?$/;
/** What speaks of the old weights' bytes. */
const EVIDENCE = new Set(['birdbone.json', 'SHA256SUMS']);

const MAX_SUBFOLDER_FILES = 100;
const MAX_SUBFOLDER_BYTES = 50_000_000;
const COPY_CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Which files of a model's folder go along: all regular files on the top level, and subfolders that are small and without
 * weights of their own (as sentence-transformers has them), whole. Weights, hidden entries (.git, .cache), `target`, and what
 * speaks of the old weights' bytes (birdbone.json, SHA256SUMS) do not. A lone file has no folder of its own: nothing goes along.
 *
 * A symbolic link is followed where it ends at a file of the folder, or in the `blobs` of the Hugging Face cache that the folder
 * is a snapshot of. Any other is left, with a notice: copying what it leads to could publish a stranger's choice of this
 * computer's files.
 */
export async function planCarry(from: string, target: string): Promise<CarryPlan> {
  try {
    if (!(await stat(from)).isDirectory()) return { files: [], left: [] };
    const folder = await realpath(from);
    const survey = new Survey(folder, await realpath(target));
    for (const entry of await entriesOf(folder)) await survey.addTopLevel(entry);
    return survey;
  } catch (error) {
    throw unreadableBecause(from, error);
  }
}

/** Copies one file of a plan to its place in `target`, creating its folder; on disk when this returns. */
export async function carryFile({ name, source }: CarriedFile, target: string): Promise<void> {
  const copy = path.join(target, name);
  const file = await FileSource.open(source);
  try {
    await writing(copy, async () => {
      await mkdir(path.dirname(copy), { recursive: true });
      const handle = await open(copy, 'wx');
      try {
        for (let offset = 0; offset < file.size; offset += COPY_CHUNK_BYTES) {
          await handle.writeFile(await file.read(offset, Math.min(COPY_CHUNK_BYTES, file.size - offset)));
        }
        await handle.sync();
      } finally {
        await handle.close();
      }
      for (let folder = path.dirname(copy); folder !== path.normalize(target); folder = path.dirname(folder)) {
        await syncFolder(folder);
      }
    });
  } finally {
    await file.close();
  }
}

/** Builds a plan entry by entry. */
class Survey implements CarryPlan {
  readonly files: CarriedFile[] = [];
  readonly left: { name: string; reason: string }[] = [];
  readonly #folder: string;
  readonly #target: string;
  /** Folders in which a link may end. */
  readonly #own: readonly string[];

  constructor(folder: string, target: string) {
    this.#folder = folder;
    this.#target = target;
    const parent = path.dirname(folder);
    // models--org--name/snapshots/<commit>/config.json → ../../blobs/<hash>
    const isSnapshot = path.basename(parent) === 'snapshots';
    this.#own = isSnapshot ? [folder, path.join(path.dirname(parent), 'blobs')] : [folder];
  }

  async addTopLevel(entry: Dirent): Promise<void> {
    if (isLeftSilently(entry.name)) return;
    if (entry.isDirectory()) await this.#addFolder(entry.name);
    else await this.#addFile(entry.name, entry);
  }

  async #addFolder(name: string): Promise<void> {
    const folder = path.join(this.#folder, name);
    if (folder === this.#target) return;
    const inside = await this.#filesWithin(name);
    if (inside === undefined) {
      const limits = `${MAX_SUBFOLDER_FILES} files or ${MAX_SUBFOLDER_BYTES} bytes`;
      this.left.push({ name, reason: `a folder with weights of its own, or with more than ${limits}` });
      return;
    }
    for (const file of inside) await this.#addFile(file.name, file.entry);
  }

  /** All files under a subfolder; undefined when it is not one to carry. */
  async #filesWithin(top: string): Promise<{ name: string; entry: Dirent }[] | undefined> {
    const files: { name: string; entry: Dirent }[] = [];
    const folders = [top];
    let bytes = 0;
    // The array grows while it is walked, and each turn ends the walk or adds to the counts that bound it.
    for (const folder of folders) {
      for (const entry of await entriesOf(path.join(this.#folder, folder))) {
        if (entry.name.startsWith('.')) continue;
        const name = path.join(folder, entry.name);
        if (isLeftSilently(entry.name) || path.join(this.#folder, name) === this.#target) return undefined;
        if (entry.isDirectory()) folders.push(name);
        else files.push({ name, entry });
        if (entry.isFile()) bytes += (await stat(path.join(this.#folder, name))).size;
        if (files.length + folders.length > MAX_SUBFOLDER_FILES || bytes > MAX_SUBFOLDER_BYTES) return undefined;
      }
    }
    return files;
  }

  async #addFile(name: string, entry: Dirent): Promise<void> {
    const file = path.join(this.#folder, name);
    if (entry.isFile()) {
      this.files.push({ name, source: file });
    } else if (entry.isSymbolicLink()) {
      await this.#addLink(name, file);
    } else {
      this.left.push({ name, reason: 'no regular file' });
    }
  }

  async #addLink(name: string, link: string): Promise<void> {
    const end = await realpath(link).catch(() => undefined);
    if (end === undefined) {
      this.left.push({ name, reason: 'a symbolic link that leads nowhere' });
    } else if (!this.#own.some((folder) => end.startsWith(folder + path.sep))) {
      this.left.push({ name, reason: 'a symbolic link that leaves the folder; replace it with a copy to carry it' });
    } else if (!(await stat(end)).isFile()) {
      this.left.push({ name, reason: 'a symbolic link to no regular file' });
    } else {
      this.files.push({ name, source: end });
    }
  }
}

function isLeftSilently(name: string): boolean {
  return name.startsWith('.') || WEIGHTS.test(name) || EVIDENCE.has(name);
}

/** In name order, so that notices and copies come in the same order everywhere. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.sort((left, right) => (left.name < right.name ? -1 : 1));
}
