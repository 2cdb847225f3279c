import { BirdboneError } from '../../errors.js';
import type { Checkpoint, ReadRange, TensorInfo } from '../checkpoint.js';
import type { ByteSource } from '../files/bytes.js';
import { quoted, shellWord } from '../files/quote.js';
import type { CheckpointFormat } from '../format.js';
import { sortNames } from '../tensor-info.js';
import { aliasesOf, readSafetensorsHeader, type SafetensorsHeader } from './header.js';

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
  const [only, ...others] = files;
  const fileOf = new Map<string, OpenedFile>();
  const names: string[] = [];
  const metadata = new Map<string, string>();
  for (const opened of files) {
    for (const name of opened.header.tensors.keys()) names.push(name);
    if (others.length > 0) for (const name of opened.header.tensors.keys()) fileOf.set(name, opened);
    for (const [key, value] of opened.header.metadata) if (!metadata.has(key)) metadata.set(key, value);
  }
  const holding = (name: string) => (others.length > 0 ? fileOf.get(name) : only);
  const tensors = new Map(sortNames(names).map((name) => [name, holding(name)!.header.tensors.get(name)!]));
  const aliases = aliasesOf(metadata, tensors);
  return {
    path,
    format: safetensors.name,
    tensors,
    aliases,
    metadata: Object.fromEntries(metadata),
    ...(only !== undefined && others.length === 0 && { starts: only.header.starts }),
    notices,
    async read(name, range) {
      const stored = aliases.get(name) ?? name;
      const info = tensors.get(stored);
      if (info === undefined) throw noSuchTensor(path, name);
      const { offset, length, into } = rangeWithin(info, range);
      const { file, header } = holding(stored)!;
      return file.read(header.starts.get(stored)! + offset, length, into);
    },
    async prefetch(name) {
      const stored = aliases.get(name) ?? name;
      const info = tensors.get(stored);
      if (info === undefined) return;
      const { file, header } = holding(stored)!;
      await file.prefetch?.(header.starts.get(stored)!, info.byteLength);
    },
    async close() {
      for (const { file } of files) await file.close();
    },
  };
}

export function noSuchTensor(path: string, name: string): BirdboneError {
  return new BirdboneError('unreadable', `${path} has no tensor ${quoted(name)}.`, {
    file: path,
    tensor: name,
    suggestions: [`See what it has: birdbone inspect ${shellWord(path)} --tensors`],
  });
}

/** The range, by default the whole tensor. A range outside the tensor is the caller's mistake: a RangeError. */
export function rangeWithin(info: TensorInfo, range: ReadRange = { offset: 0, length: info.byteLength }): ReadRange {
  const { offset, length } = range;
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (whole && offset >= 0 && length >= 0 && offset + length <= info.byteLength) return range;
  throw new RangeError(
    `Bytes ${offset} + ${length} are not within ${quoted(info.name)}, which has ${info.byteLength}.`,
  );
}
