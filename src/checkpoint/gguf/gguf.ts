import type { Checkpoint } from '../checkpoint.js';
import type { ByteSource } from '../files/bytes.js';
import type { CheckpointFormat } from '../format.js';
import { noSuchTensor, rangeWithin } from '../safetensors/safetensors.js';
import { sortNames } from '../tensor-info.js';
import { MAGIC, readGgufHeader } from './header.js';
import { metadataTexts } from './metadata-text.js';
import type { GgufMetadata } from './value.js';

/** The key of a manifest about the rest of the file. */
export const GGUF_MANIFEST_KEY = 'birdbone.manifest';

/** llama.cpp's file: metadata with types, tensor entries, and the tensors' bytes, in ggml's own names and element types. */
export const gguf: CheckpointFormat = {
  name: 'gguf',
  recognises: (head, path) => path.endsWith('.gguf') || Buffer.from(head.subarray(0, 4)).toString('latin1') === MAGIC,
  open: async (file) => checkpointOf(file),
};

/** `metadataTexts`, without a manifest: what it says of the rest of the file cannot be part of that. */
export function ggufTexts(metadata: GgufMetadata): Record<string, string> {
  return metadataTexts(new Map([...metadata].filter(([key]) => key !== GGUF_MANIFEST_KEY)));
}

interface GgufCheckpoint extends Checkpoint {
  readonly gguf: GgufMetadata;
}

/** The metadata of a GGUF file with its types; undefined for a checkpoint of another format. */
export function ggufMetadata(checkpoint: Checkpoint): GgufMetadata | undefined {
  return (checkpoint as Partial<GgufCheckpoint>).gguf;
}

function checkpointOf(file: ByteSource): GgufCheckpoint {
  const { metadata, tensors: inFileOrder, starts } = readGgufHeader(file);
  const names = sortNames([...inFileOrder.keys()]);
  const tensors = new Map(names.map((name) => [name, inFileOrder.get(name)!]));
  return {
    path: file.path,
    format: gguf.name,
    tensors,
    aliases: new Map(),
    metadata: ggufTexts(metadata),
    starts,
    gguf: metadata,
    async read(name, range) {
      const info = tensors.get(name);
      if (info === undefined) throw noSuchTensor(file.path, name);
      const { offset, length } = rangeWithin(info, range);
      return file.read(starts.get(name)! + offset, length);
    },
    async prefetch(name) {
      const info = tensors.get(name);
      if (info !== undefined) await file.prefetch?.(starts.get(name)!, info.byteLength);
    },
    close: () => file.close(),
  };
}
