import type { Checkpoint } from '../checkpoint/index.js';
import { expectPart } from '../coding/index.js';
import { rowBytesOf, unpackRows } from '../quantization/index.js';
import { decodeToF32, type ElementDtype } from '../tensor/index.js';
import { infoOf, nativeNames } from './native-parts.js';
import { wrongTensor } from './native-view.js';
import type { ComputedTensor } from './strips.js';
import { elementsOf } from './transpose.js';

/** Which group each input belongs to. */
export type GroupIndices = Uint32Array;

/**
 * The stored group of each input. Throws `unreadable`, naming the tensor, unless there is one for each of `inputs`, below `groups`.
 */
export async function readGroupIndices(
  source: Checkpoint,
  name: string,
  { inputs, groups }: { readonly inputs: number; readonly groups: number },
): Promise<GroupIndices> {
  expectPart(source, { name, dtypes: ['I32'], shape: [inputs] });
  const indices = elementsOf(await source.read(name), 4) as GroupIndices;
  const wrong = indices.findIndex((group) => group >= groups);
  if (wrong < 0) return indices;
  const found = indices[wrong]! | 0;
  throw wrongTensor(source, name, `puts input ${wrong} into group ${found}, and there are ${groups} groups`);
}

/** The number of consecutive inputs of each group, the last one's fewer or equal; undefined where groups are no such runs. */
export function runLength(indices: GroupIndices, groups: number): number | undefined {
  const second = indices.indexOf(1);
  const length = second < 0 ? indices.length : second;
  if (length === 0 || Math.ceil(indices.length / length) !== groups) return undefined;
  return indices.every((group, input) => group === Math.floor(input / length)) ? length : undefined;
}

/** A quantized matrix in the native form but for its groups, which are not runs of inputs. */
export interface ScatteredGroups {
  readonly weight: string;
  readonly rows: number;
  readonly columns: number;
  readonly bits: number;
  readonly scaleDtype: ElementDtype;
  readonly groups: number;
  readonly indices: GroupIndices;
  /** Absent for symmetric schemes. */
  readonly zeroPoints: boolean;
}

/**
 * The values of a matrix whose groups are scattered over its inputs, as F32: the native form has a place for runs alone. `parts` has
 * codes, scales and zero points under their native names.
 */
export function scatteredValues(parts: Checkpoint, matrix: ScatteredGroups): ComputedTensor {
  const { weight, rows, columns } = matrix;
  return {
    info: infoOf(weight, 'F32', [rows, columns]),
    rowBytes: 4 * columns,
    compute: (first, count) => valuesOf(parts, matrix, first, count),
  };
}

async function valuesOf(
  parts: Checkpoint,
  { weight, columns, bits, scaleDtype, groups, indices, zeroPoints }: ScatteredGroups,
  first: number,
  count: number,
): Promise<Uint8Array> {
  const names = nativeNames(weight);
  const rowsOf = (name: string, rowBytes: number) =>
    parts.read(name, { offset: first * rowBytes, length: count * rowBytes });
  const scaleBytes = groups * (scaleDtype === 'F32' ? 4 : 2);
  const codes = unpackRows(await rowsOf(names.codes, rowBytesOf(columns, bits)), count, columns, bits);
  const scales = decodeToF32(await rowsOf(names.scale, scaleBytes), scaleDtype);
  const zeros = zeroPoints
    ? await rowsOf(names.zeroPoint, groups)
    : new Uint8Array(count * groups).fill(2 ** (bits - 1));
  const values = new Float32Array(count * columns);
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const group = row * groups + indices[column]!;
      values[row * columns + column] = (codes[row * columns + column]! - zeros[group]!) * scales[group]!;
    }
  }
  return new Uint8Array(values.buffer);
}
