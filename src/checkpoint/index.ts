import type { Checkpoint } from './checkpoint.js';
import type { ByteSource } from './files/bytes.js';
import type { CheckpointFormat } from './format.js';
import { gguf } from './gguf/gguf.js';
import { formatOf, openWith } from './open.js';
import { safetensors } from './safetensors/safetensors.js';
import { safetensorsIndex } from './safetensors/shards.js';
import { torchIndex } from './torch/shards.js';
import { torch } from './torch/torch.js';

export type { Checkpoint, ReadRange, TensorInfo } from './checkpoint.js';
export { type ByteSource, FileSource, memorySource } from './files/bytes.js';
export { canonicalJson } from './files/canonical-json.js';
export {
  makeFolder,
  renameDurably,
  syncFolder,
  temporaryName,
  writeAt,
  writeFileDurably,
  writing,
} from './files/durable.js';
export { unreadable, unreadableBecause } from './files/failure.js';
export { type JsonObject, readJson, readJsonFile, readJsonObject } from './files/json-file.js';
export { type FileKind, outputFileFormat } from './files/output-file.js';
export { escaped, quoted, shellWord } from './files/quote.js';
export { refuseExisting, writeFolderWhole } from './files/whole-folder.js';
export { type WriteOptions, writeCheckpoint } from './folder.js';
export { GGUF_MANIFEST_KEY, ggufMetadata, ggufTexts } from './gguf/gguf.js';
export { planGguf } from './gguf/plan.js';
export type { GgufArray, GgufMetadata, GgufScalar, GgufValue } from './gguf/value.js';
export { GgufWriter } from './gguf/writer.js';
export {
  type Layer,
  type LayerMask,
  type LayerPlan,
  type LayerWriter,
  type MemoryValues,
  memoryLayer,
} from './layers/layer.js';
export { onlyTensors } from './layers/only-tensors.js';
export { overlay } from './layers/overlay.js';
export { undo } from './layers/undo.js';
export { chunksOf, readFloats, readFloatsInto } from './reading.js';
export { noSuchTensor, rangeWithin } from './safetensors/safetensors.js';
export { SafetensorsWriter } from './safetensors/writer.js';
export { beginTensorDigest, tensorDigestPrefix } from './tensor-digest.js';
export { matchTensors, tensorGlob } from './tensor-glob.js';
export { elementsOf } from './tensor-info.js';
export type { Deed, NamedGlobal } from './torch/observing-runtime.js';
export { claimOf, SIGNATURE_BYTES } from './torch/signatures.js';
export { type FileOddity, type PlacedSurvey, surveyTorchFile, type TorchSurvey } from './torch/torch-survey.js';

/** Every format that can be read, the more specific before the more general. A new one is a file and a place here. */
export const formats: readonly CheckpointFormat[] = [safetensorsIndex, gguf, safetensors, torchIndex, torch];

/**
 * Opens the weights of a Hugging Face folder (model.safetensors or pytorch_model.bin, or the shards of either's index) or of
 * one file, by reading its headers. Throws `unreadable` for what is not there or is broken, `unsupported` for another format.
 */
export function openCheckpoint(path: string): Promise<Checkpoint> {
  return openWith(formats, path);
}

/**
 * Opens the weights in bytes from anywhere (a blob of git's); undefined when they are in none of the formats. Closing the
 * result closes the bytes. Throws as `openCheckpoint` does, and leaves them open then.
 */
export async function openBytes(bytes: ByteSource): Promise<Checkpoint | undefined> {
  return formatOf(formats, bytes)?.open(bytes);
}
