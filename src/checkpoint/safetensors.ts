import { BirdboneError } from '../errors.js';
import type { ByteSource } from './bytes.js';
import type { Checkpoint, TensorInfo } from './checkpoint.js';
import type { CheckpointFormat } from './format.js';
import { quoted } from './quote.js';
import { aliasesOf, readSafetensorsHeader, type SafetensorsHeader, type StoredTensor } from './safetensors-header.js';
import { sortNames } from './tensor-info.js';

/** One file: an 8-byte header length, a JSON header, and the tensors' bytes. */
export const safetensors: CheckpointFormat = {
  name: 'safetensors',
  recognises: (head, path) => path.endsWith('.safetensors') || looksLikeHeader(head),
  open: async (file) => checkpointOf(file.path, [{ file, header: readSafetensorsHeader(file) }]),
};

/** Downloads are often kept under other names; a sane header length before a "{" is enough to go by. */
function looksLikeHeader(head: Uint8Array): boolean {
  return head.length > 8 && head[8] === 0x7b && head[4] === 0 && head[5] === 0 && head[6] === 0 && head[7] === 0;
}

export interface OpenedFile {
  readonly file: ByteSource;
  readonly header: SafetensorsHeader;
}

/**
 * One checkpoint over the given files, whose tensor names differ. Metadata is that of all files; where they disagree, the
 * first file's holds. Closing it closes the files.
 */
export function checkpointOf(path: string, files: readonly OpenedFile[], notices: readonly string[] = []): Checkpoint {
  const places = new Map<string, { readonly info: StoredTensor; readonly file: ByteSource }>();
  const metadata = new Map<string, string>();
  for (const { file, header } of files) {
    for (const info of header.tensors.values()) places.set(info.name, { info, file });
    for (const [key, value] of header.metadata) if (!metadata.has(key)) metadata.set(key, value);
  }
  const tensors = new Map(sortNames([...places.keys()]).map((name) => [name, publicInfo(places.get(name)!.info)]));
  const aliases = aliasesOf(metadata, tensors);
  return {
    path,
    format: safetensors.name,
    tensors,
    aliases,
    metadata: Object.fromEntries(metadata),
    notices,
    async read(name, range) {
      const place = places.get(aliases.get(name) ?? name);
      if (place === undefined) throw noSuchTensor(path, name);
      const { offset, length } = rangeWithin(place.info, range);
      return place.file.read(place.info.offset + offset, length);
    },
    async close() {
      for (const { file } of files) await file.close();
    },
  };
}

function publicInfo({ name, dtype, shape, byteLength }: StoredTensor): TensorInfo {
  return { name, dtype, shape, byteLength };
}

export function noSuchTensor(path: string, name: string): BirdboneError {
  return new BirdboneError('unreadable', `${path} has no tensor ${quoted(name)}.`, {
    file: path,
    tensor: name,
    suggestions: [`See what it has: birdbone inspect ${path} --tensors`],
  });
}

/** The range, by default the whole tensor. A range outside the tensor is the caller's mistake: a RangeError. */
export function rangeWithin(
  info: TensorInfo,
  range: { readonly offset: number; readonly length: number } = { offset: 0, length: info.byteLength },
): { readonly offset: number; readonly length: number } {
  const { offset, length } = range;
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (whole && offset >= 0 && length >= 0 && offset + length <= info.byteLength) return range;
  throw new RangeError(
    `Bytes ${offset} + ${length} are not within ${quoted(info.name)}, which has ${info.byteLength}.`,
  );
}
