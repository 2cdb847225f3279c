import { openCheckpoint } from '../checkpoint/index.js';
import { type HashOptions, hashCheckpoint, type TensorDigest, type WeightHashes } from './hash.js';
import { type Manifest, readManifest } from './manifest.js';

/** A tensor that is not what the manifest says. `added` and `removed` are from the manifest's point of view. */
export interface TensorFinding {
  readonly name: string;
  readonly finding: 'changed' | 'dtype' | 'shape' | 'added' | 'removed';
  readonly recorded?: TensorDigest;
  readonly found?: TensorDigest;
}

/** One hash of the whole checkpoint, as recorded and as found. */
export interface HashComparison {
  readonly recorded: string | null;
  readonly found: string | null;
  readonly matches: boolean;
}

/** How a model differs from its manifest. */
export interface VerifyReport {
  readonly folder: string;
  /** True when nothing at all differs. */
  readonly matches: boolean;
  /** Differing tensors only, in name order. */
  readonly findings: readonly TensorFinding[];
  /** Differs without a finding when somebody edited the manifest's own weights hash. */
  readonly weights: HashComparison;
  /** Names, dtypes, shapes, aliases, file metadata and config together. */
  readonly metadata: HashComparison;
  readonly config: HashComparison;
  readonly tensors: number;
  /** sha256 of birdbone.json itself. */
  readonly manifest: string;
}

/**
 * Compares a model's folder with its birdbone.json, tensor by tensor; every byte of the weights is read. Differences are in the
 * report, not thrown. Throws `unreadable` when there is no manifest (or no checkpoint) to compare, `interrupted` on abort.
 */
export async function verifyFolder(folder: string, options: HashOptions = {}): Promise<VerifyReport> {
  const { manifest, sha256 } = await readManifest(folder);
  const checkpoint = await openCheckpoint(folder);
  try {
    const hashes = await hashCheckpoint(checkpoint, options);
    return { folder, ...compareWithManifest(manifest, hashes), manifest: sha256 };
  } finally {
    await checkpoint.close();
  }
}

/** The comparison alone. Pure. */
export function compareWithManifest(
  manifest: Manifest,
  found: WeightHashes,
): Omit<VerifyReport, 'folder' | 'manifest'> {
  const recorded = new Map<string, TensorDigest>(manifest.tensors.map(({ name, ...digest }) => [name, digest]));
  const findings = compareTensors(recorded, found.tensors);
  const weights = compareHash(manifest.weights, found.weights);
  const metadata = compareHash(manifest.metadata, found.metadata);
  const config = compareHash(manifest.config, found.config);
  const matches = findings.length === 0 && weights.matches && metadata.matches && config.matches;
  return { matches, findings, weights, metadata, config, tensors: found.tensors.size };
}

/** Every tensor that is not what is recorded, in name order. Pure. */
export function compareTensors(
  recorded: ReadonlyMap<string, TensorDigest>,
  found: ReadonlyMap<string, TensorDigest>,
): TensorFinding[] {
  const names = [...new Set([...recorded.keys(), ...found.keys()])].sort();
  return names.flatMap((name) => compareTensor(name, recorded.get(name), found.get(name)) ?? []);
}

function compareTensor(
  name: string,
  recorded: TensorDigest | undefined,
  found: TensorDigest | undefined,
): TensorFinding | undefined {
  if (recorded === undefined) return { name, finding: 'added', found: found! };
  if (found === undefined) return { name, finding: 'removed', recorded };
  if (recorded.dtype !== found.dtype) return { name, finding: 'dtype', recorded, found };
  if (recorded.shape.join() !== found.shape.join()) return { name, finding: 'shape', recorded, found };
  return recorded.sha256 === found.sha256 ? undefined : { name, finding: 'changed', recorded, found };
}

function compareHash(recorded: string | null, found: string | null): HashComparison {
  return { recorded, found, matches: recorded === found };
}
