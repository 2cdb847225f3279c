import { compareTensors, type TensorDigest, type TensorFinding, type ValueDiff } from '../manifest/index.js';
import { type FileHashes, OPAQUE } from './weight-hashes.js';

/** What a file is, as recorded or as found. */
export interface FileIdentity {
  readonly size: number;
  readonly sha256: string;
}

/** A tensor that is not what is recorded, and how far its values are from those, where both can be read. */
export interface TensorChange extends TensorFinding {
  readonly values?: ValueDiff;
}

/** A file that is not what .weight_hashes.json says, or of which it says nothing. */
export interface FileFinding {
  readonly path: string;
  /**
   * `changed`: other bytes than recorded. `forged`: the recorded bytes, but other tensors than recorded, so somebody edited the
   * record. `missing`: recorded and not there. `unrecorded`: there and not recorded. `refused`: recorded, and now a link, a
   * folder or another thing that is not read.
   */
  readonly finding: 'changed' | 'forged' | 'missing' | 'unrecorded' | 'refused';
  readonly recorded?: FileIdentity;
  readonly found?: FileIdentity;
  /** Tensors that are not what is recorded, in name order; undefined where they are not known on both sides. */
  readonly tensors?: readonly TensorChange[];
  /** Whether the file's own metadata, names, types or shapes differ; undefined where they are not known on both sides. */
  readonly metadataChanged?: boolean;
  /** What cannot be said, and why. */
  readonly unknown?: string;
}

/** What differs between a record and a file that was read; undefined when nothing does. Pure. */
export function compareFile(recorded: FileHashes, found: FileHashes): FileFinding | undefined {
  const sameBytes = recorded.sha256 === found.sha256 && recorded.size === found.size;
  const known = recorded.format !== OPAQUE && found.format !== OPAQUE;
  const sides = { path: recorded.path, recorded: identityOf(recorded), found: identityOf(found) };
  if (!known) {
    // The same bytes: one birdbone could read them, and the other could not.
    return sameBytes ? undefined : { ...sides, finding: 'changed', unknown: unknownSide(recorded) };
  }
  const tensors = compareTensors(byName(recorded), byName(found));
  const metadataChanged = recorded.metadata !== found.metadata;
  const isSame = tensors.length === 0 && !metadataChanged && recorded.format === found.format;
  if (sameBytes && isSame) return undefined;
  return { ...sides, finding: sameBytes ? 'forged' : 'changed', tensors, metadataChanged };
}

export function identityOf({ size, sha256 }: FileIdentity): FileIdentity {
  return { size, sha256 };
}

function unknownSide(recorded: FileHashes): string {
  return recorded.format === OPAQUE ? 'no tensors are recorded of it' : 'its tensors cannot be read';
}

function byName({ tensors = [] }: FileHashes): ReadonlyMap<string, TensorDigest> {
  return new Map(tensors.map(({ name, dtype, shape, sha256 }) => [name, { dtype, shape, sha256 }]));
}
