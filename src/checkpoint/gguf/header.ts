import { BirdboneError } from '../../errors.js';
import type { TensorInfo } from '../checkpoint.js';
import type { ByteSource } from '../files/bytes.js';
import { unreadable } from '../files/failure.js';
import { quoted } from '../files/quote.js';
import { GgufCursor } from './cursor.js';
import { readMetadata } from './metadata.js';
import { readTensorInfos } from './tensor-infos.js';
import type { GgufMetadata } from './value.js';

export const MAGIC = 'GGUF';
const MAGIC_BYTES = 4;
/** Magic, version, and two counts. */
const PREFIX_BYTES = 24;
export const ALIGNMENT_KEY = 'general.alignment';
export const DEFAULT_ALIGNMENT = 32;
/** The specification asks for a multiple of 8, llama.cpp for a power of two; 64 KiB is the largest page of any system. */
const MIN_ALIGNMENT = 8;
const MAX_ALIGNMENT = 65_536;

export interface GgufHeader {
  readonly metadata: GgufMetadata;
  /** In the file's order. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Where each tensor's bytes start, from the start of the file. */
  readonly starts: ReadonlyMap<string, number>;
}

/**
 * The checked header of a GGUF file, version 2 or 3, little-endian: afterwards every tensor lies in the file, in the place
 * that llama.cpp asks of it, and has the bytes that its type and shape say. Nothing above checks again.
 *
 * As in llama.cpp (ggml/src/gguf.cpp) tensors follow one another in the order of their entries, each at the next multiple of
 * the alignment: none overlap, and no bytes lie between them but padding, which is not looked at. The last one's padding may
 * be missing. Stricter than llama.cpp: texts must be UTF-8, a bool 0 or 1, the alignment from 8 to 65536, and nothing may
 * follow the last tensor. Source: ggml-org/ggml, docs/gguf.md.
 *
 * Throws `unreadable`, or `unsupported` for other versions, split files and element types that are not read.
 */
export function readGgufHeader(file: ByteSource): GgufHeader {
  let tensor: string | undefined;
  let key: string | undefined;
  const fail = (problem: string): never => {
    const where = tensor === undefined ? key && `metadata ${quoted(key)}: ` : `tensor ${quoted(tensor)}: `;
    throw unreadable(file.path, `${where ?? ''}${problem}`, { ...(tensor !== undefined && { tensor }) });
  };
  refuseOtherFiles(file);
  const cursor = new GgufCursor(file, MAGIC_BYTES + 4, fail);
  const tensorCount = cursor.uint64('the number of tensors');
  const keyCount = cursor.uint64('the number of metadata keys');
  const metadata = readMetadata(cursor, keyCount, (current) => {
    key = current;
  });
  key = ALIGNMENT_KEY;
  const alignment = alignmentOf(metadata, fail);
  key = undefined;
  refuseSplit(file.path, metadata);
  const { tensors, starts } = readTensorInfos(cursor, tensorCount, {
    path: file.path,
    alignment,
    current: (name) => {
      tensor = name;
    },
  });
  return { metadata, tensors, starts };
}

/** What a file's alignment is, by its metadata. */
export function alignmentOf(metadata: GgufMetadata, fail: (problem: string) => never): number {
  const entry = metadata.get(ALIGNMENT_KEY);
  if (entry === undefined) return DEFAULT_ALIGNMENT;
  if (entry.type !== 'u32') return fail(`it is of type ${entry.type}; u32 is allowed`);
  const isPower = Number.isInteger(Math.log2(entry.value));
  if (isPower && entry.value >= MIN_ALIGNMENT && entry.value <= MAX_ALIGNMENT) return entry.value;
  return fail(`it is ${entry.value}; powers of two from ${MIN_ALIGNMENT} to ${MAX_ALIGNMENT} are allowed`);
}

function refuseOtherFiles(file: ByteSource): void {
  const prefix = Buffer.alloc(Math.min(PREFIX_BYTES, file.size));
  file.readSync(0, prefix);
  const magic = prefix.toString('latin1', 0, MAGIC_BYTES);
  if (magic !== MAGIC) throw unreadable(file.path, `it starts with ${quoted(magic)}, where a GGUF file has "GGUF"`);
  if (file.size < PREFIX_BYTES) {
    throw unreadable(file.path, `it has ${file.size} bytes, where a GGUF file has at least ${PREFIX_BYTES}`);
  }
  const version = prefix.readUInt32LE(MAGIC_BYTES);
  if (version === 2 || version === 3) return;
  const bigEndian = prefix.readUInt32BE(MAGIC_BYTES);
  const what = bigEndian === 2 || bigEndian === 3 ? 'big-endian GGUF' : `GGUF version ${version}`;
  throw new BirdboneError(
    'unsupported',
    `Cannot read ${file.path}: it is ${what}; versions 2 and 3, little-endian, are read.`,
    {
      file: file.path,
      suggestions: ['Convert it with a current llama.cpp, or download the model in another format.'],
    },
  );
}

/** Parts of a split model name tensors that are in other files; llama.cpp itself joins them. */
function refuseSplit(path: string, metadata: GgufMetadata): void {
  const count = metadata.get('split.count');
  if (count === undefined || count.type === 'array' || Number(count.value) <= 1) return;
  throw new BirdboneError('unsupported', `Cannot read ${path}: it is one of ${count.value} parts of a split model.`, {
    file: path,
    suggestions: ['Join the parts: llama-gguf-split --merge <first part> <whole file>'],
  });
}
