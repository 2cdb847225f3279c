import type { Checkpoint, TensorInfo } from '../checkpoint/index.js';
import { type CodingRecord, codingBytes, codingName } from '../coding/index.js';
import { rowBytesOf, type Scheme } from '../quantization/index.js';
import { DTYPES, type ElementDtype } from '../tensor/index.js';
import type { ComputedTensor } from './strips.js';
import type { StoredMatrix } from './transpose.js';

/** Names of a coded weight's tensors in the native form. */
export function nativeNames(weight: string) {
  return { codes: weight, scale: `${weight}_scale`, zeroPoint: `${weight}_zero_point`, record: codingName(weight) };
}

/** A tensor's description from its type and shape. */
export function infoOf(name: string, dtype: ElementDtype, shape: readonly number[]): TensorInfo {
  const elements = shape.reduce((product, size) => product * size, 1);
  return { name, dtype, shape, byteLength: (elements * DTYPES[dtype].bits) / 8 };
}

/** A small tensor whose bytes are known. */
export function constantTensor(info: TensorInfo, bytes: Uint8Array): ComputedTensor {
  const rowBytes = bytes.length / (info.shape[0] ?? 1);
  return { info, rowBytes, compute: async (first, count) => bytes.slice(first * rowBytes, (first + count) * rowBytes) };
}

/** The tensor that says how a weight is stored. */
export function recordTensor(weight: string, record: CodingRecord): ComputedTensor {
  const bytes = codingBytes(record);
  return constantTensor(infoOf(codingName(weight), 'U8', [bytes.length]), bytes);
}

/** A coded weight's name, shape and scheme. */
interface CodedShape {
  readonly weight: string;
  readonly rows: number;
  readonly columns: number;
  readonly scheme: Pick<Scheme, 'bits'>;
}

/** The rows of codes of a coded weight as words of 32 bits; what a row's last word has no bytes for is zero. */
export function codeWords(source: Checkpoint, { weight, rows, columns, scheme }: CodedShape): StoredMatrix {
  const rowBytes = rowBytesOf(columns, scheme.bits);
  return { source, tensor: weight, rows, columns: Math.ceil(rowBytes / 4), elementBytes: 4, rowBytes };
}

/** How many groups of inputs a row has, each with a scale of its own. */
export function groupsOf({ groupSize }: Scheme, columns: number): number {
  return groupSize === undefined ? 1 : Math.ceil(columns / groupSize);
}
