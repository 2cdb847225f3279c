import { BirdboneError } from '../../errors.js';
import { DTYPES, isBlockDtype } from '../../tensor/index.js';
import type { TensorInfo } from '../checkpoint.js';
import { quoted } from '../files/quote.js';
import type { PlannedTensor, TensorFilePlan } from '../files/tensor-file-writer.js';
import { elementsOf } from '../tensor-info.js';
import { encodeMetadata, encodeString, encodeUint32, encodeUint64 } from './encode.js';
import { alignmentOf, MAGIC } from './header.js';
import { MAX_DIMENSIONS } from './tensor-infos.js';
import { GGUF_DTYPES, ggmlTypeOf } from './tensor-types.js';
import type { GgufMetadata } from './value.js';

const VERSION = 3;
/** llama.cpp refuses a file with a longer one. */
const MAX_NAME_BYTES = 63;

/**
 * A GGUF file of version 3 but for the values: the metadata in its order, the tensors in theirs, each at the next multiple of
 * the alignment (32, or the metadata's general.alignment), and zeros between them and after the last, as llama.cpp writes it.
 */
export function planGguf(file: string, metadata: GgufMetadata, infos: readonly TensorInfo[]): TensorFilePlan {
  const alignment = alignmentOf(metadata, (problem) => {
    throw new RangeError(`${file}: ${problem}.`);
  });
  const roundUp = (position: number) => Math.ceil(position / alignment) * alignment;
  const offsets = new Map<string, PlannedTensor>();
  const entries: Uint8Array[] = [];
  let next = 0;
  for (const info of infos) {
    if (offsets.has(info.name)) throw new RangeError(`${file} would have two tensors ${info.name}.`);
    entries.push(...entryOf(file, info, next));
    offsets.set(info.name, { start: next, byteLength: info.byteLength });
    next = roundUp(next + info.byteLength);
  }
  const counts = [encodeUint64(infos.length), encodeUint64(metadata.size)];
  const header = Buffer.concat([
    Buffer.from(MAGIC),
    encodeUint32(VERSION),
    ...counts,
    encodeMetadata(metadata),
    ...entries,
  ]);
  const dataStart = roundUp(header.length);
  const tensors = [...offsets].map(([name, place]) => [name, { ...place, start: dataStart + place.start }] as const);
  return { header, tensors: new Map(tensors), fileBytes: infos.length === 0 ? header.length : dataStart + next };
}

function entryOf(file: string, info: TensorInfo, offset: number): Uint8Array[] {
  const { name, dtype, shape, byteLength } = info;
  const type = ggmlTypeOf(dtype);
  if (type === undefined) refuse(file, name, `GGUF has no element type ${dtype}; it has ${GGUF_DTYPES.join(', ')}`);
  if (Buffer.byteLength(name) > MAX_NAME_BYTES || name.includes('\0')) {
    refuse(file, name, `llama.cpp reads names of up to ${MAX_NAME_BYTES} bytes`);
  }
  if (shape.length > MAX_DIMENSIONS) refuse(file, name, `[${shape}] has more than ${MAX_DIMENSIONS} dimensions`);
  if (isBlockDtype(dtype) && (shape.at(-1) ?? 1) % DTYPES[dtype].blockElements !== 0) {
    throw new RangeError(`${name}: rows of [${shape}] are no whole number of ${dtype} blocks.`);
  }
  const bytes = (elementsOf(shape) * DTYPES[dtype].bits) / 8;
  if (bytes !== byteLength) {
    throw new RangeError(`${name}: ${dtype} [${shape}] takes ${bytes} bytes, not ${byteLength}.`);
  }
  return [
    encodeString(name),
    encodeUint32(shape.length),
    ...shape.toReversed().map(encodeUint64),
    encodeUint32(type!),
    encodeUint64(offset),
  ];
}

function refuse(file: string, tensor: string, problem: string): never {
  throw new BirdboneError('unsupported', `${file} cannot hold tensor ${quoted(tensor)}: ${problem}.`, {
    file,
    tensor,
    suggestions: ['Leave the tensor out, or write safetensors.'],
  });
}
