export { type DiffOptions, diffCheckpoints } from './diff.js';
export { renderDiffMarkdown } from './diff-markdown.js';
export type { DiffReport, FieldChange, TensorDiff, TensorStatus, ValueDiff } from './diff-report.js';
export { type HashOptions, hashCheckpoint, type TensorDigest, type WeightHashes } from './hash.js';
export {
  createManifest,
  findManifest,
  MANIFEST_FILE,
  type Manifest,
  type ManifestInput,
  manifestText,
  readManifest,
} from './manifest.js';
export { type RecordedHashes, type RecordOptions, recordHashes } from './record.js';
export { type TensorFinding, type VerifyReport, verifyFolder } from './verify.js';
