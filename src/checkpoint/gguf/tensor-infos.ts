import { BirdboneError } from '../../errors.js';
import { DTYPES, type Dtype, isBlockDtype } from '../../tensor/index.js';
import type { TensorInfo } from '../checkpoint.js';
import { quoted } from '../files/quote.js';
import type { GgufCursor } from './cursor.js';
import { dtypeOfGgml, GGUF_DTYPES, ggmlTypeName } from './tensor-types.js';

/** What bounds the memory of a hostile header; the largest published models have some 20 000. */
export const MAX_TENSORS = 120_000;
/** llama.cpp allows 63, stable-diffusion.cpp 127. */
const MAX_NAME_BYTES = 127;
/** ggml's own limit. */
export const MAX_DIMENSIONS = 4;
/** An entry's length of the name, number of dimensions, type and offset, with an empty name and no dimensions. */
const MIN_ENTRY_BYTES = 8 + 4 + 4 + 8;

export interface TensorPlaces {
  readonly tensors: Map<string, TensorInfo>;
  readonly starts: Map<string, number>;
}

interface Reading {
  readonly path: string;
  readonly alignment: number;
  /** Is told which tensor is being read, for messages. */
  readonly current: (tensor: string | undefined) => void;
}

/** Reads `count` tensor entries, and checks that the tensors fill the rest of the file; see `readGgufHeader`. */
export function readTensorInfos(cursor: GgufCursor, count: number, reading: Reading): TensorPlaces {
  if (count > MAX_TENSORS) cursor.fail(`it declares ${count} tensors; at most ${MAX_TENSORS} are read`);
  if (count * MIN_ENTRY_BYTES > cursor.left) {
    cursor.fail(`it declares ${count} tensors, and ${cursor.left} bytes follow`);
  }
  const places: TensorPlaces = { tensors: new Map(), starts: new Map() };
  const dataBytes = readEntries(cursor, count, { places, ...reading });
  fromStartOfFile(cursor, places, reading);
  const dataStart = roundUp(cursor.position, reading.alignment);
  const size = cursor.position + cursor.left;
  const padded = dataStart + roundUp(dataBytes, reading.alignment);
  if (size > padded) cursor.fail(`its last tensor ends at byte ${dataStart + dataBytes}, and the file has ${size}`);
  return places;
}

/** Fills in the tensors, and where each starts in the data; returns where the last one ends there. */
function readEntries(
  cursor: GgufCursor,
  count: number,
  { places, path, alignment, current }: Reading & { readonly places: TensorPlaces },
): number {
  let end = 0;
  for (let i = 0; i < count; i += 1) {
    const name = cursor.string(`the name of tensor ${i}`, MAX_NAME_BYTES);
    if (name.includes('\0')) cursor.fail(`the name of tensor ${i} is ${quoted(name)}, which llama.cpp would cut short`);
    if (places.tensors.has(name)) cursor.fail(`it has two tensors ${quoted(name)}`);
    current(name);
    const info = readEntry(cursor, name, path);
    const offset = cursor.uint64('its offset');
    const next = roundUp(end, alignment);
    if (offset !== next) cursor.fail(misplaced(offset, next, alignment));
    places.tensors.set(name, info);
    places.starts.set(name, offset);
    end = offset + info.byteLength;
    // Here already, so that the sum of many sizes never leaves the exact integers.
    if (end > cursor.left) cursor.fail(`it takes ${info.byteLength} bytes, and the file has ${cursor.left} left`);
    current(undefined);
  }
  return end;
}

/** Makes the starts count from the start of the file: where the data begins is known only after the entries. */
function fromStartOfFile(cursor: GgufCursor, { tensors, starts }: TensorPlaces, { alignment, current }: Reading): void {
  const dataStart = roundUp(cursor.position, alignment);
  const size = cursor.position + cursor.left;
  for (const [name, offset] of starts) {
    const end = dataStart + offset + tensors.get(name)!.byteLength;
    current(name);
    if (end > size) cursor.fail(`it ends at byte ${end}, and the file has ${size}`);
    starts.set(name, dataStart + offset);
  }
  current(undefined);
}

function readEntry(cursor: GgufCursor, name: string, path: string): TensorInfo {
  const dimensions = cursor.uint32('its number of dimensions');
  if (dimensions > MAX_DIMENSIONS)
    cursor.fail(`it has ${dimensions} dimensions; at most ${MAX_DIMENSIONS} are allowed`);
  const shape: number[] = new Array(dimensions);
  // ggml's first dimension is the one whose neighbours lie side by side: the last one everywhere else.
  for (let i = dimensions - 1; i >= 0; i -= 1) shape[i] = cursor.uint64('a dimension');
  const dtype = readDtype(cursor, name, path);
  return { name, dtype, shape, byteLength: byteLengthOf(dtype, shape, cursor) };
}

function readDtype(cursor: GgufCursor, name: string, path: string): Dtype {
  const number = cursor.uint32('its type');
  const dtype = dtypeOfGgml(number);
  if (dtype !== undefined) return dtype;
  throw new BirdboneError(
    'unsupported',
    `Cannot read ${path}: tensor ${quoted(name)} has ggml's type ${number} (${ggmlTypeName(number)}). ` +
      `Read are: ${GGUF_DTYPES.join(', ')}.`,
    {
      file: path,
      tensor: name,
      suggestions: ['Download the model in a type that is read, or make one with llama-quantize.'],
    },
  );
}

function byteLengthOf(dtype: Dtype, shape: readonly number[], cursor: GgufCursor): number {
  const row = shape.at(-1) ?? 1;
  if (isBlockDtype(dtype) && row % DTYPES[dtype].blockElements !== 0) {
    cursor.fail(`its rows of ${row} elements are no whole number of ${dtype} blocks of ${DTYPES[dtype].blockElements}`);
  }
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    // Checked at each step: [2^32, 2^32, 0] overflows too. Products up to here are exact, with 64 bits an element as well.
    if (elements > Number.MAX_SAFE_INTEGER / 64) {
      cursor.fail(`its shape [${shape}] has more elements than any file can hold`);
    }
  }
  return (elements * DTYPES[dtype].bits) / 8;
}

function misplaced(offset: number, next: number, alignment: number): string {
  if (offset % alignment !== 0) return `its offset ${offset} is no multiple of the alignment, ${alignment}`;
  return offset < next
    ? `its offset ${offset} overlaps the tensor before it, which takes the data up to ${next}`
    : `its offset ${offset} leaves a hole of ${offset - next} bytes after the tensor before it`;
}

function roundUp(position: number, alignment: number): number {
  return Math.ceil(position / alignment) * alignment;
}
