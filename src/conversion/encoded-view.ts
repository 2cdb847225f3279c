import { type Checkpoint, noSuchTensor, rangeWithin, type TensorInfo } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';
import type { EncodableDtype, RowEncoder } from '../ggml/index.js';
import { DTYPES } from '../tensor/index.js';
import { rowsOf } from './block-types.js';

export interface EncodedViewOptions {
  /** What each tensor becomes; the others stay. Their rows are whole numbers of blocks. */
  readonly dtypes: ReadonlyMap<string, EncodableDtype>;
  readonly encoder: RowEncoder;
  /** The importance of a tensor's columns, one set for each of its matrices (experts) after the other. */
  readonly weights?: ReadonlyMap<string, Float32Array>;
}

/**
 * A checkpoint whose tensors are encoded in blocks while they are read. Any range may be read: the rows that it touches are encoded,
 * and cut. Throws `unsupported`, naming the tensor, for values that blocks cannot hold. Closing it closes the source and not the encoder.
 */
export function encodedView(source: Checkpoint, options: EncodedViewOptions): Checkpoint {
  const tensors = new Map(
    [...source.tensors].map(([name, info]) => [name, encodedInfo(info, options.dtypes.get(name))]),
  );
  return {
    path: source.path,
    format: source.format,
    tensors,
    aliases: source.aliases,
    metadata: source.metadata,
    ...(source.notices && { notices: source.notices }),
    ...(source.companions && { companions: source.companions }),
    async read(name, range) {
      const info = tensors.get(source.aliases.get(name) ?? name);
      if (info === undefined) throw noSuchTensor(source.path, name);
      const dtype = options.dtypes.get(info.name);
      if (dtype === undefined) return source.read(name, range);
      const wanted = rangeWithin(info, range);
      const rowBytes = info.byteLength / rowsOf(info).rows;
      const first = Math.floor(wanted.offset / rowBytes);
      const last = Math.ceil((wanted.offset + wanted.length) / rowBytes);
      const encoded = await encodeRowsOf(source, info, { first, last, dtype, ...options });
      const start = wanted.offset - first * rowBytes;
      return encoded.subarray(start, start + wanted.length);
    },
    close: () => source.close(),
  };
}

function encodedInfo(info: TensorInfo, dtype: EncodableDtype | undefined): TensorInfo {
  if (dtype === undefined) return info;
  const { rows, columns } = rowsOf(info);
  const { blockElements, blockBytes } = DTYPES[dtype];
  return { ...info, dtype, byteLength: rows * (columns / blockElements) * blockBytes };
}

interface RowRange extends EncodedViewOptions {
  readonly first: number;
  /** The row after the last one. */
  readonly last: number;
  readonly dtype: EncodableDtype;
}

/** Rows of one matrix at a time: each has weights of its own. */
async function encodeRowsOf(source: Checkpoint, info: TensorInfo, range: RowRange): Promise<Uint8Array> {
  const { rows, columns } = rowsOf(info);
  const all = range.weights?.get(info.name);
  const rowsOfMatrix = all === undefined ? rows : rows / (all.length / columns);
  const parts: Uint8Array[] = [];
  for (let row = range.first; row < range.last; ) {
    const matrix = Math.floor(row / rowsOfMatrix);
    const end = Math.min(range.last, (matrix + 1) * rowsOfMatrix);
    const weights = all?.subarray(matrix * columns, (matrix + 1) * columns);
    parts.push(await encodeStrip(source, info, { ...range, first: row, last: end, strip: weights }));
    row = end;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

async function encodeStrip(
  source: Checkpoint,
  info: TensorInfo,
  { first, last, dtype, encoder, strip: weights }: RowRange & { readonly strip: Float32Array | undefined },
): Promise<Uint8Array> {
  const stored = source.tensors.get(info.name)!;
  const { rows, columns } = rowsOf(info);
  const rowBytes = stored.byteLength / rows;
  const bytes = await source.read(info.name, { offset: first * rowBytes, length: (last - first) * rowBytes });
  try {
    return await encoder.encode({ bytes, from: stored.dtype, to: dtype, columns, ...(weights && { weights }) });
  } catch (error) {
    if (!(error instanceof BirdboneError)) throw error;
    const { code, message, suggestions } = error;
    const details = { suggestions, file: source.path, tensor: info.name, cause: error };
    throw new BirdboneError(code, `${info.name}: ${message}`, details);
  }
}
