import { type Checkpoint, elementsOf, rangeWithin, type TensorInfo } from '../checkpoint/index.js';
import { DTYPES, decodeToF32, isBlockDtype } from '../tensor/index.js';

const F32_BYTES = 4;

/**
 * A checkpoint whose block-quantised tensors read as F32 (the values that their blocks stand for); the others are as they are.
 * Any range may be read: the blocks that it touches are decoded, and cut. Closing it closes the source.
 */
export function dequantized(source: Checkpoint): Checkpoint {
  const tensors = new Map([...source.tensors].map(([name, info]) => [name, asF32(info)]));
  return {
    path: source.path,
    format: source.format,
    tensors,
    aliases: source.aliases,
    metadata: source.metadata,
    ...(source.notices && { notices: source.notices }),
    async read(name, range) {
      const stored = source.tensors.get(source.aliases.get(name) ?? name);
      if (stored === undefined || !isBlockDtype(stored.dtype)) return source.read(name, range);
      return readValues(source, stored, rangeWithin(asF32(stored), range));
    },
    close: () => source.close(),
  };
}

function asF32(info: TensorInfo): TensorInfo {
  return isBlockDtype(info.dtype) ? { ...info, dtype: 'F32', byteLength: elementsOf(info.shape) * F32_BYTES } : info;
}

async function readValues(
  source: Checkpoint,
  { name, dtype }: TensorInfo,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Uint8Array> {
  if (!isBlockDtype(dtype)) throw new Error(`${name} has no blocks.`);
  const row = DTYPES[dtype];
  const valueBytes = row.blockElements * F32_BYTES;
  const firstBlock = Math.floor(offset / valueBytes);
  const lastBlock = Math.ceil((offset + length) / valueBytes);
  const blocks = { offset: firstBlock * row.blockBytes, length: (lastBlock - firstBlock) * row.blockBytes };
  const decoded = decodeToF32(await source.read(name, blocks), dtype);
  const start = offset - firstBlock * valueBytes;
  return new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.byteLength).subarray(start, start + length);
}
