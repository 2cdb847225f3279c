import type { Checkpoint, TensorInfo } from '../checkpoint.js';
import type { ByteSource } from '../files/bytes.js';
import { unreadable } from '../files/failure.js';
import { quoted } from '../files/quote.js';
import { noSuchTensor, rangeWithin } from '../safetensors/safetensors.js';
import { sortNames } from '../tensor-info.js';
import { gatherElements } from './gather.js';
import type { PickleValue } from './pickle-values.js';
import { nameValues } from './state-dict.js';
import { StorageBytes, type StorageRange } from './storage-bytes.js';
import { identityOf, isContiguous, type PlacedTensor, placeTensor } from './view-layout.js';

/** What a file's pickles say, and where its storages are. */
export interface LoadedFile {
  readonly file: ByteSource;
  readonly value: PickleValue;
  /** Every storage that the value mentions is among them, and has the size that it says. */
  readonly storages: ReadonlyMap<string, StorageRange>;
}

export const FORMAT_NAME = 'torch';

/**
 * Elements that are gathered at a time when strides put them apart. The next pieces are mostly the next to be asked for, and
 * one that is transposed costs one read for each of its columns, however little of each is wanted. Two of them may be in memory
 * until the collector comes by: small files whose views repeat an element must not take more than 64 MB.
 */
const GATHER_BYTES = 16 * 1024 * 1024;

/**
 * Views can stand for more bytes than are stored: a mask of [1, 1, 8192, 8192] that repeats one byte is real, 4 TB made of
 * four bytes are an attack on whoever hashes or converts them.
 */
const MAX_VIEW_BYTES = 1024 ** 3;
const MAX_VIEW_RATIO = 16;

/** The checkpoint in a torch file. Tensors that are one and the same have one name, the first in name order; others are aliases. */
export function checkpointOfTorch({ file, value, storages }: LoadedFile): Checkpoint {
  const fail = (problem: string, tensor?: string): never => {
    const where = tensor === undefined ? '' : `tensor ${quoted(tensor)}: `;
    throw unreadable(file.path, where + problem, tensor === undefined ? {} : { tensor });
  };
  const named = nameValues(value, fail);
  const { placed, aliases } = placeAll(named.tensors, fail);
  refuseInflation(file, placed, fail);
  const tensors = new Map([...placed].map(([name, { info }]) => [name, info]));
  const reader = new TensorReader(file, storages);
  const { metadata, left } = metadataOf(named.scalars, { tensors, aliases });
  const scalarsLeft = named.scalarsLeft + left;
  return {
    path: file.path,
    format: FORMAT_NAME,
    tensors,
    aliases,
    metadata,
    notices: scalarsLeft === 0 ? [] : [`Of the values beside its tensors, ${scalarsLeft} are not shown.`],
    async read(name, range) {
      const tensor = placed.get(aliases.get(name) ?? name);
      if (tensor === undefined) throw noSuchTensor(file.path, name);
      return reader.read(tensor, rangeWithin(tensor.info, range));
    },
    close: () => file.close(),
  };
}

function placeAll(views: ReturnType<typeof nameValues>['tensors'], fail: (problem: string, tensor?: string) => never) {
  const placed = new Map<string, PlacedTensor>();
  const aliases = new Map<string, string>();
  const names = new Map<string, string>();
  for (const name of sortNames([...views.keys()])) {
    const tensor = placeTensor(name, views.get(name)!, { fail: (problem) => fail(problem, name) });
    const identity = identityOf(tensor);
    const first = names.get(identity);
    // Without bytes there is nothing to share, and each is a tensor of its own.
    if (first !== undefined && tensor.info.byteLength > 0) {
      aliases.set(name, first);
    } else {
      names.set(identity, name);
      placed.set(name, tensor);
    }
  }
  return { placed, aliases };
}

function refuseInflation(
  file: ByteSource,
  placed: ReadonlyMap<string, PlacedTensor>,
  fail: (problem: string, tensor?: string) => never,
): void {
  const most = Math.max(MAX_VIEW_BYTES, MAX_VIEW_RATIO * file.size);
  let bytes = 0;
  for (const { info } of placed.values()) {
    bytes += info.byteLength;
    if (bytes > most)
      fail(`with it, views of ${file.size} bytes stand for ${bytes}; at most ${most} are read`, info.name);
  }
}

/** What transformers looks for in a safetensors file before it loads it: that its tensors are torch's. */
const FRAMEWORK = ['format', 'pt'] as const;

/** The scalars as texts, and what safetensors files record: the framework and the aliases. */
function metadataOf(
  scalars: ReadonlyMap<string, string>,
  { tensors, aliases }: { tensors: ReadonlyMap<string, TensorInfo>; aliases: ReadonlyMap<string, string> },
): { metadata: Readonly<Record<string, string>>; left: number } {
  // "key": "name of a tensor" would be read as an alias once it is written to a safetensors file.
  const kept = [...scalars].filter(([key, text]) => !tensors.has(text) && !tensors.has(key) && !aliases.has(key));
  return { metadata: Object.fromEntries([...kept, FRAMEWORK, ...aliases]), left: scalars.size - kept.length };
}

class TensorReader {
  readonly #file: ByteSource;
  readonly #ranges: ReadonlyMap<string, StorageRange>;
  readonly #storages = new Map<string, StorageBytes>();
  /** The elements that were gathered last. */
  #gathered: { readonly tensor: PlacedTensor; readonly offset: number; readonly bytes: Uint8Array } | undefined;

  constructor(file: ByteSource, ranges: ReadonlyMap<string, StorageRange>) {
    this.#file = file;
    this.#ranges = ranges;
  }

  async read(tensor: PlacedTensor, { offset, length }: { offset: number; length: number }): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array(0);
    const storage = this.#storageOf(tensor);
    if (isContiguous(tensor)) return storage.read(tensor.byteStart + offset, length);
    const result = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const { offset: from, bytes } = this.#gather(tensor, offset + done, storage);
      const part = bytes.subarray(offset + done - from).subarray(0, length - done);
      result.set(part, done);
      done += part.length;
    }
    return result;
  }

  #gather(tensor: PlacedTensor, offset: number, storage: StorageBytes) {
    const known = this.#gathered;
    const holds = known?.tensor === tensor && offset >= known.offset && offset < known.offset + known.bytes.length;
    if (holds) return known;
    const { elementBytes, info, byteStart } = tensor;
    const first = Math.floor(offset / elementBytes);
    const count = Math.min(GATHER_BYTES / elementBytes, info.byteLength / elementBytes - first);
    const read = (from: number, into: Uint8Array) => storage.readSync(byteStart + from, into);
    const bytes = gatherElements(tensor, { first, count }, read);
    this.#gathered = { tensor, offset: first * elementBytes, bytes };
    return this.#gathered;
  }

  #storageOf({ key, info }: PlacedTensor): StorageBytes {
    const known = this.#storages.get(key);
    if (known !== undefined) return known;
    const storage = new StorageBytes(this.#file, this.#ranges.get(key)!, (problem) => {
      throw unreadable(this.#file.path, `tensor ${quoted(info.name)}: ${problem}`, { tensor: info.name });
    });
    this.#storages.set(key, storage);
    return storage;
  }
}
