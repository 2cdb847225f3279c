import { BirdboneError } from '../../errors.js';
import { DTYPES, ELEMENT_DTYPES, type ElementDtype, isDtype } from '../../tensor/index.js';
import type { TensorInfo } from '../checkpoint.js';
import type { ByteSource } from '../files/bytes.js';
import { unreadable } from '../files/failure.js';
import { JsonReader, MAX_KEYS } from '../files/json-reader.js';
import { quoted } from '../files/quote.js';
import { checkLayout } from './layout.js';

/** The header's length, little-endian u64, comes before it. */
export const PREFIX_BYTES = 8;
/** The reference's limit. */
export const MAX_HEADER_BYTES = 100_000_000;
/** What bounds the memory that a hostile header can take: 0.8 kB for each tensor. */
export const MAX_TENSORS = MAX_KEYS;
/** All names and `__metadata__` texts of one file. */
const MAX_TEXT_BYTES = 32 * 1024 * 1024;
const METADATA_KEY = '__metadata__';

export interface SafetensorsHeader {
  /** In the header's order. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Where each tensor's bytes start, from the start of the file. */
  readonly starts: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * The checked header of a safetensors file: afterwards every tensor lies in the file, no two overlap, and each has exactly
 * the bytes that its type and shape say. Nothing above checks again.
 *
 * Everything the reference implementation (safetensors 0.8) refuses is refused, and beyond it whatever two readers could read
 * differently: keys that appear twice, unknown keys of a tensor, padding other than spaces, numbers above 2^53. As there,
 * tensors without elements may share an offset, and the file's order is free. A file has at most `MAX_TENSORS`; 100 000 of
 * them take 0.6 s and 80 MB. Source: github.com/huggingface/safetensors.
 *
 * Throws `unreadable`, or `unsupported` for an element type that the format has gained since.
 */
export function readSafetensorsHeader(file: ByteSource): SafetensorsHeader {
  const headerBytes = readHeaderLength(file);
  const dataStart = PREFIX_BYTES + headerBytes;
  let current: string | undefined;
  const fail = (problem: string): never => {
    throw unreadable(file.path, current === undefined ? problem : `tensor ${quoted(current)}: ${problem}`, {
      ...(current !== undefined && { tensor: current }),
    });
  };
  const range = { start: PREFIX_BYTES, end: dataStart, maxTextBytes: MAX_TEXT_BYTES };
  const json = new JsonReader(file, range, fail);
  const tensors = new Map<string, TensorInfo>();
  const starts = new Map<string, number>();
  let metadata = new Map<string, string>();
  json.object('the header', (key) => {
    if (key === METADATA_KEY) {
      metadata = readMetadata(json);
      return;
    }
    current = key;
    const { info, begin } = readTensor(json, key, file.path);
    tensors.set(key, info);
    starts.set(key, dataStart + begin);
    current = undefined;
  });
  json.end('the header', 'spaces');
  checkLayout({ tensors, starts }, { path: file.path, dataStart, size: file.size });
  return { tensors, starts, metadata };
}

/**
 * The metadata keys that are tensor names of their own: weights tied to a stored tensor, which the file records as
 * `"alias": "stored name"` because it holds their bytes once.
 */
export function aliasesOf(
  metadata: Iterable<readonly [string, string]>,
  tensors: { has(name: string): boolean },
): Map<string, string> {
  const isAlias = ([key, value]: readonly [string, string]) =>
    key !== 'format' && tensors.has(value) && !tensors.has(key);
  return new Map([...metadata].filter(isAlias));
}

function readHeaderLength(file: ByteSource): number {
  if (file.size < PREFIX_BYTES) {
    throw unreadable(file.path, `it has ${file.size} bytes, where a safetensors file has at least ${PREFIX_BYTES}`);
  }
  const start = Buffer.alloc(Math.min(PREFIX_BYTES + 1, file.size));
  file.readSync(0, start);
  // As a BigInt: 2^64 − 1 as a number is 2^64, and 2^53 + 1 is 2^53.
  const declared = start.readBigUInt64LE(0);
  const available = file.size - PREFIX_BYTES;
  if (declared > MAX_HEADER_BYTES) {
    throw unreadable(file.path, `its header declares ${declared} bytes; at most ${MAX_HEADER_BYTES} are allowed`);
  }
  if (declared > available) {
    throw unreadable(file.path, `its header declares ${declared} bytes, and only ${available} follow`);
  }
  if (declared < 2) throw unreadable(file.path, `its header declares ${declared} bytes; the shortest, "{}", has 2`);
  if (start[PREFIX_BYTES] !== 0x7b) {
    throw unreadable(
      file.path,
      `its header starts with the byte 0x${start[PREFIX_BYTES]!.toString(16)} instead of "{"`,
    );
  }
  return Number(declared);
}

function readMetadata(json: JsonReader): Map<string, string> {
  const metadata = new Map<string, string>();
  json.object(METADATA_KEY, (key) => metadata.set(key, json.string(METADATA_KEY)));
  return metadata;
}

function readTensor(json: JsonReader, name: string, path: string): { info: TensorInfo; begin: number } {
  const { fail } = json;
  let dtype: ElementDtype | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  json.object('its entry', (key) => {
    if (key === 'dtype') dtype = checkDtype(json.string('dtype'), name, path);
    else if (key === 'shape') shape = readIntegers(json, 'shape');
    else if (key === 'data_offsets') offsets = readIntegers(json, 'data_offsets');
    else fail(`its entry has the unknown key ${quoted(key)}; dtype, shape and data_offsets are allowed`);
  });
  if (dtype === undefined) return fail('its entry has no dtype');
  if (shape === undefined) return fail('its entry has no shape');
  const [begin, end] = offsets ?? fail('its entry has no data_offsets');
  if (begin === undefined || end === undefined || offsets?.length !== 2)
    return fail('data_offsets must be two numbers');
  if (end < begin) return fail(`it ends at ${end}, before it begins at ${begin}`);
  const byteLength = byteLengthOf(dtype, shape, fail);
  if (end - begin !== byteLength) {
    return fail(
      `${dtype} [${shape}] takes ${byteLength} bytes, and data_offsets [${begin}, ${end}] leave ${end - begin}`,
    );
  }
  return { info: { name, dtype, shape, byteLength }, begin };
}

/** A scalar has the shape []; more dimensions than this are no tensor of any framework. */
const MAX_DIMENSIONS = 64;

function readIntegers(json: JsonReader, what: string): number[] {
  const values: number[] = [];
  json.array(what, () => {
    values.push(json.integer(what));
    if (values.length > MAX_DIMENSIONS) json.fail(`${what} has over ${MAX_DIMENSIONS} numbers`);
  });
  // An array that grew has room for 17 numbers; of 100 000 shapes that is 12 MB.
  return values.slice();
}

function checkDtype(dtype: string, name: string, path: string): ElementDtype {
  if (isDtype(dtype)) return dtype;
  throw new BirdboneError(
    'unsupported',
    `Cannot read ${path}: tensor ${quoted(name)} has the element type ${quoted(dtype)}. ` +
      `Known: ${ELEMENT_DTYPES.join(', ')}.`,
    {
      file: path,
      tensor: name,
      suggestions: ['Convert the tensor to a known type with the tool that wrote the file.'],
    },
  );
}

function byteLengthOf(dtype: ElementDtype, shape: readonly number[], fail: (problem: string) => never): number {
  let bits: number = DTYPES[dtype].bits;
  for (const size of shape) {
    bits *= size;
    // Checked at each step: [2^32, 2^32, 0] overflows too. Products up to here are exact.
    if (bits > Number.MAX_SAFE_INTEGER) return fail(`shape [${shape}] has more elements than any file can hold`);
  }
  if (bits % 8 !== 0) return fail(`${dtype} [${shape}] takes ${bits} bits, which is no whole number of bytes`);
  return bits / 8;
}
