export { type DiffOptions, diffCheckpoints } from './diff.js';
export { renderDiffMarkdown } from './diff-markdown.js';
export type { DiffReport, FieldChange, TensorDiff, TensorStatus, ValueDiff } from './diff-report.js';
export {
  type HashOptions,
  hashCheckpoint,
  metadataHash,
  type TensorDigest,
  type WeightHashes,
  weightsHash,
} from './hash.js';
export { type HashedReading, hashWhileRead } from './hash-while-read.js';
export {
  createManifest,
  findManifest,
  MANIFEST_FILE,
  type Manifest,
  type ManifestInput,
  manifestDigest,
  manifestText,
  readManifest,
} from './manifest.js';
export { compareTensors, type TensorFinding, type VerifyReport, verifyFolder } from './verify.js';
