import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ByteSource, FileSource, memorySource, unreadable, writing } from '../checkpoint/index.js';
import { type GitProcess, gitFailed, gitOutput, outputOf, startGit } from './git.js';

/** Larger blobs go through a temporary file: a check holds up to six at a time. */
const MAX_MEMORY_BYTES = 16 * 1024 * 1024;
/** git itself needs minutes and as much memory for more. */
const MAX_BLOB_BYTES = 8 * 1024 ** 3;
/** A name, a type and a size. */
const MAX_HEADER_BYTES = 256;

/** Sizes of blobs in git's store, by name. What is not there, or is no blob, has none. */
export async function blobSizes(root: string, oids: Iterable<string>): Promise<Map<string, number>> {
  const input = [...new Set(oids)].map((oid) => `${oid}\n`).join('');
  const listed = await gitOutput(['cat-file', '--batch-check'], { cwd: root, input });
  const lines = listed.toString('latin1').split('\n');
  const matches = lines.map((line) => /^([0-9a-f]+) blob (\d+)$/.exec(line)).filter((match) => match !== null);
  return new Map(matches.map(([, oid = '', bytes]) => [oid, Number(bytes)]));
}

/** Whole blobs from git's store by name, read at once: for many small ones. What is not there is left out. */
export async function readBlobs(root: string, oids: readonly string[]): Promise<Map<string, Buffer>> {
  const input = oids.map((oid) => `${oid}\n`).join('');
  const output = await gitOutput(['cat-file', '--batch'], { cwd: root, input });
  const blobs = new Map<string, Buffer>();
  for (let at = 0; at < output.length; ) {
    const start = output.indexOf(0x0a, at) + 1;
    const [oid = '', type, size] = output.toString('latin1', at, start - 1).split(' ');
    at = start;
    if (type === 'missing') continue;
    blobs.set(oid, output.subarray(start, start + Number(size)));
    at = start + Number(size) + 1;
  }
  return blobs;
}

/** Reads blobs from git's store, one after the other, through one git that runs until this is closed. */
export class BlobReader {
  readonly #root: string;
  #git: GitProcess | undefined;
  #output: AsyncIterator<Buffer> | undefined;
  #buffer: Buffer = Buffer.alloc(0);
  #last: Promise<unknown> = Promise.resolve();

  constructor(root: string) {
    this.#root = root;
  }

  /**
   * The content of a blob, called `label` in messages; undefined when it is not in the store (a partial clone). Blobs above
   * 16 MiB lie in a temporary file until they are closed. Throws `unreadable` above 8 GiB, and when git fails.
   */
  open(oid: string, label: string): Promise<ByteSource | undefined> {
    const result = this.#last.then(() => this.#open(oid, label));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#git?.child.stdin.end();
    this.#git?.child.kill();
    // Output that nobody reads any more would keep git's end from being told.
    this.#git?.child.stdout.destroy();
    // One that never started was told of by the read that needed it.
    await this.#git?.ended.catch(() => undefined);
  }

  async #open(oid: string, label: string): Promise<ByteSource | undefined> {
    this.#git ??= await startGit(['cat-file', '--batch'], { cwd: this.#root });
    this.#output ??= outputOf(this.#git);
    this.#git.child.stdin.write(`${oid}\n`);
    const [, type, size] = (await this.#line()).split(' ');
    if (type === 'missing') return undefined;
    const bytes = Number(size);
    if (type !== 'blob' || !(bytes <= MAX_BLOB_BYTES)) {
      // What follows stays unread, and this git with it.
      await this.#restart();
      throw unreadable(label, type === 'blob' ? `it has ${bytes} bytes within git` : `in git it is a ${type}`, {
        suggestions: ['Keep large weights in git-lfs: birdbone init --plan-lfs'],
      });
    }
    const content = bytes <= MAX_MEMORY_BYTES ? await this.#toMemory(bytes, label) : await this.#toFile(bytes, label);
    await this.#take(1);
    return content;
  }

  async #toMemory(bytes: number, label: string): Promise<ByteSource> {
    const pieces: Buffer[] = [];
    for await (const piece of this.#pieces(bytes)) pieces.push(piece);
    return memorySource(label, Buffer.concat(pieces));
  }

  async #toFile(bytes: number, label: string): Promise<ByteSource> {
    const folder = await mkdtemp(path.join(tmpdir(), 'birdbone-blob-'));
    try {
      const name = path.join(folder, 'blob');
      await writing(name, () => pipeline(Readable.from(this.#pieces(bytes)), createWriteStream(name, { flags: 'wx' })));
      const file = labelled(await FileSource.open(name), label);
      return { ...file, close: () => file.close().finally(() => rm(folder, { recursive: true, force: true })) };
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async *#pieces(bytes: number): AsyncGenerator<Buffer> {
    for (let left = bytes; left > 0; ) {
      if (this.#buffer.length === 0) await this.#fill();
      const piece = this.#buffer.subarray(0, left);
      this.#buffer = this.#buffer.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  async #take(length: number): Promise<void> {
    for await (const _ of this.#pieces(length));
  }

  async #line(): Promise<string> {
    for (let end = this.#buffer.indexOf(0x0a); ; end = this.#buffer.indexOf(0x0a)) {
      if (end >= 0) {
        const line = this.#buffer.toString('latin1', 0, end);
        this.#buffer = this.#buffer.subarray(end + 1);
        return line;
      }
      if (this.#buffer.length > MAX_HEADER_BYTES) throw gitFailed(['cat-file'], this.#root, 'it wrote no header');
      await this.#fill();
    }
  }

  async #fill(): Promise<void> {
    const { value, done } = await this.#output!.next();
    if (done === true) {
      const { stderr } = await this.#git!.ended;
      throw gitFailed(['cat-file'], this.#root, stderr);
    }
    this.#buffer = this.#buffer.length === 0 ? value : Buffer.concat([this.#buffer, value]);
  }

  async #restart(): Promise<void> {
    await this.close();
    this.#git = undefined;
    this.#output = undefined;
    this.#buffer = Buffer.alloc(0);
  }
}

/** The same bytes under the name that messages and formats go by. Closing it closes the source. */
export function labelled(source: ByteSource, label: string): ByteSource {
  return {
    path: label,
    size: source.size,
    read: (offset, length) => source.read(offset, length),
    readSync: (offset, bytes) => source.readSync(offset, bytes),
    close: () => source.close(),
  };
}
