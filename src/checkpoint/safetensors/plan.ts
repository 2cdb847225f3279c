import { BirdboneError } from '../../errors.js';
import { DTYPES, ELEMENT_DTYPES, isDtype } from '../../tensor/index.js';
import type { TensorInfo } from '../checkpoint.js';
import { quoted } from '../files/quote.js';
import type { PlannedTensor, TensorFilePlan } from '../files/tensor-file-writer.js';
import { elementsOf, sortNames } from '../tensor-info.js';
import { MAX_HEADER_BYTES, MAX_TENSORS, PREFIX_BYTES } from './header.js';

/** The header is padded to this, so that every tensor is aligned to its elements when the file is mapped into memory. */
const ALIGNMENT_BYTES = 8;

/** Element types in the reference's order, which ends with the widest. */
const DTYPE_ORDER: ReadonlyMap<string, number> = new Map(ELEMENT_DTYPES.map((dtype, position) => [dtype, position]));

/**
 * The start of a safetensors file, length and header, and the place of each tensor after it. As the reference writes it: the
 * widest element types first, then by name; metadata in name order, where the reference leaves the order to chance.
 */
export function makeSafetensorsHeader(
  file: string,
  infos: readonly TensorInfo[],
  metadata: Readonly<Record<string, string>>,
): TensorFilePlan {
  const offsets = new Map<string, PlannedTensor>();
  const entries = Object.keys(metadata).length === 0 ? [] : [`"__metadata__":${metadataText(metadata)}`];
  let end = 0;
  for (const info of inFileOrder(infos)) {
    const { name, dtype, shape, byteLength } = info;
    refuseBlocks(file, info);
    refuseMisfit(info);
    if (offsets.has(name)) throw new RangeError(`${file} would have two tensors ${name}.`);
    offsets.set(name, { start: end, byteLength });
    entries.push(`${text(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${end},${end + byteLength}]}`);
    end += byteLength;
  }
  const header = withLength(Buffer.from(`{${entries.join(',')}}`));
  if (header.length - PREFIX_BYTES > MAX_HEADER_BYTES || offsets.size > MAX_TENSORS) {
    throw new BirdboneError('unsupported', `${file} would have ${offsets.size} tensors, too many for one header.`, {
      file,
      suggestions: [`Write smaller shards: at most ${MAX_TENSORS} tensors go into one.`],
    });
  }
  const tensors = [...offsets].map(
    ([name, place]) => [name, { ...place, start: header.length + place.start }] as const,
  );
  return { header, tensors: new Map(tensors), fileBytes: header.length + end };
}

function inFileOrder(infos: readonly TensorInfo[]): TensorInfo[] {
  const ranks = new Map(sortNames(infos.map(({ name }) => name)).map((name, rank) => [name, rank]));
  return [...infos].sort(
    (left, right) =>
      DTYPE_ORDER.get(right.dtype)! - DTYPE_ORDER.get(left.dtype)! || ranks.get(left.name)! - ranks.get(right.name)!,
  );
}

/** Names and texts are joined by hand: a plain object would put "10" before "9a", and one key sets its prototype. */
function metadataText(metadata: Readonly<Record<string, string>>): string {
  return `{${sortNames(Object.keys(metadata)).map((key) => `${text(key)}:${text(metadata[key]!)}`)}}`;
}

function text(value: string): string {
  if (/\p{Surrogate}/u.test(value))
    throw new RangeError(`A lone surrogate cannot be written: ${JSON.stringify(value)}.`);
  return JSON.stringify(value);
}

function refuseBlocks(file: string, { name, dtype }: TensorInfo): void {
  if (isDtype(dtype)) return;
  const message = `${file} cannot hold tensor ${quoted(name)}: safetensors has no element type ${dtype}.`;
  const suggestions = ['Convert the tensors to F32, F16 or BF16, or write a GGUF file.'];
  throw new BirdboneError('unsupported', message, { file, tensor: name, suggestions });
}

function refuseMisfit({ name, dtype, shape, byteLength }: TensorInfo): void {
  const bytes = (elementsOf(shape) * DTYPES[dtype].bits) / 8;
  if (bytes !== byteLength)
    throw new RangeError(`${name}: ${dtype} [${shape}] takes ${bytes} bytes, not ${byteLength}.`);
  if (name === '__metadata__') throw new RangeError('A tensor cannot be called __metadata__.');
}

function withLength(json: Buffer): Buffer {
  const jsonBytes = Math.ceil(json.length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  const header = Buffer.alloc(PREFIX_BYTES + jsonBytes, ' ');
  header.writeBigUInt64LE(BigInt(jsonBytes));
  json.copy(header, PREFIX_BYTES);
  return header;
}
