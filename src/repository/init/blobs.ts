import { gitOutput } from '../git.js';
import { MAX_POINTER_BYTES, parseLfsPointer } from '../lfs-pointer.js';
import { WEIGHT_PATTERNS } from './weight-patterns.js';

/** A file's content in git's object store. */
export interface Blob {
  readonly oid: string;
  readonly bytes: number;
  /** What it takes in the repository: compressed, perhaps as a difference to another. */
  readonly diskBytes: number;
}

/** How git names all files with an ending of weights, at every depth. */
export const WEIGHT_PATHSPECS = WEIGHT_PATTERNS.map((pattern) => `:(top,glob)**/${pattern}`);

/**
 * The blobs that git-lfs would take: those of these names that hold content, and are not pointers already. Reads sizes for
 * all, contents only of what is small enough to be a pointer.
 */
export async function blobsWithContent(root: string, oids: Iterable<string>): Promise<Map<string, Blob>> {
  const unique = [...new Set(oids)];
  const format = '--batch-check=%(objecttype) %(objectsize) %(objectsize:disk) %(objectname)';
  const listed = await gitOutput(['cat-file', format], { cwd: root, input: lines(unique) });
  const blobs = listed
    .toString('latin1')
    .split('\n')
    .map((line) => /^blob (\d+) (\d+) ([0-9a-f]+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, bytes, diskBytes, oid = '']) => ({ oid, bytes: Number(bytes), diskBytes: Number(diskBytes) }));
  const pointers = await pointersAmong(
    root,
    blobs.filter(({ bytes }) => bytes <= MAX_POINTER_BYTES).map(({ oid }) => oid),
  );
  // git-lfs leaves empty files empty.
  return new Map(blobs.filter(({ bytes, oid }) => bytes > 0 && !pointers.has(oid)).map((blob) => [blob.oid, blob]));
}

async function pointersAmong(root: string, oids: readonly string[]): Promise<Set<string>> {
  const output = await gitOutput(['cat-file', '--batch'], { cwd: root, input: lines(oids) });
  const found = new Set<string>();
  for (let at = 0; at < output.length; ) {
    const start = output.indexOf('\n', at) + 1;
    const [oid = '', , size = '0'] = output.toString('latin1', at, start - 1).split(' ');
    const end = start + Number(size);
    if (parseLfsPointer(output.subarray(start, end)) !== undefined) found.add(oid);
    at = end + 1;
  }
  return found;
}

function lines(items: readonly string[]): string {
  return items.map((item) => `${item}\n`).join('');
}
