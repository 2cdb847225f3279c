import { type ByteSource, type Checkpoint, openBytes } from '../checkpoint/index.js';
import { diffCheckpoints } from '../manifest/index.js';
import type { FileFinding, TensorChange } from './compare-file.js';
import { hashFile } from './hash-file.js';
import { lfsFolder, openAtHead, openLfsObject } from './recorded-content.js';
import type { Tree, TreeFile } from './tree.js';

export interface HowFarOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The finding with how far the values of each changed tensor are from the recorded ones, where git or git-lfs still has the
 * recorded file in this clone, and why not where it has not. Reads both files once more.
 */
export async function withHowFar(
  finding: FileFinding,
  { tree, file }: { readonly tree: Tree; readonly file: TreeFile },
  { signal }: HowFarOptions = {},
): Promise<FileFinding> {
  const names = new Set(finding.tensors?.filter(hasTwoSides).map(({ name }) => name));
  if (names.size === 0) return finding;
  const before = await openRecorded(tree, finding);
  if (before === undefined) {
    return { ...finding, unknown: 'how far the values moved: this clone has no copy of the recorded file' };
  }
  try {
    const after = await file.open();
    if (after === undefined) return finding;
    try {
      const values = await compareValues(before, after, { names, signal });
      const tensors = finding.tensors!.map((change): TensorChange => {
        const moved = values.get(change.name);
        return moved === undefined ? change : { ...change, values: moved };
      });
      return { ...finding, tensors };
    } finally {
      await after.close();
    }
  } finally {
    await before.close();
  }
}

/** Values of one shape can be compared, of another type too. */
function hasTwoSides({ finding }: TensorChange): boolean {
  return finding === 'changed' || finding === 'dtype';
}

/** A file with the recorded sha256: git-lfs's object of that name, or what the last commit has, if that is it. */
async function openRecorded(tree: Tree, { path, recorded }: FileFinding): Promise<ByteSource | undefined> {
  if (tree.blobs === undefined || recorded === undefined) return undefined;
  const object = await openLfsObject(await lfsFolder(tree.root), recorded.sha256, path);
  if (object !== undefined) return object;
  const committed = await openAtHead({ root: tree.root, blobs: tree.blobs }, path);
  if (committed === undefined) return undefined;
  const { hashes } = await hashFile(path, committed);
  if (hashes.sha256 === recorded.sha256) return committed;
  await committed.close();
  return undefined;
}

interface ComparedTensors extends HowFarOptions {
  readonly names: ReadonlySet<string>;
}

async function compareValues(before: ByteSource, after: ByteSource, { names, signal }: ComparedTensors) {
  const [left, right] = [await openBytes(before), await openBytes(after)];
  if (left === undefined || right === undefined) return new Map();
  const options = signal === undefined ? {} : { signal };
  const { tensors } = await diffCheckpoints(only(left, names), only(right, names), options);
  return new Map(tensors.flatMap(({ name, values }) => (values === null ? [] : [[name, values] as const])));
}

/** The checkpoint with some of its tensors, and nothing else to compare. */
function only(checkpoint: Checkpoint, names: ReadonlySet<string>): Checkpoint {
  const tensors = new Map([...checkpoint.tensors].filter(([name]) => names.has(name)));
  return { ...checkpoint, tensors, aliases: new Map(), metadata: {} };
}
