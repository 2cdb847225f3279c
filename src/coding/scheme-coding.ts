import { type Checkpoint, unreadable } from '../checkpoint/index.js';
import {
  type CodedShape,
  canDecodeRows,
  decodeRows,
  dequantizeRows,
  type PartBytes,
  type PartSuffix,
  partForms,
  rowsFromParts,
  schemeOfRecord,
  tilesOf,
} from '../quantization/index.js';
import { expectPart } from './check-part.js';
import type { CodedWeight, Coding } from './coding.js';

/** The coding of matrices that src/quantization makes: codes in dense rows, scales and zero points beside them. */
export function schemeCoding(kind: 'integer' | 'float8' | 'codebook'): Coding {
  return {
    kind,
    // By what the record says alone: whether it may say so is for `check`.
    parts: ({ weight, record }) => [
      `${weight}_scale`,
      ...(record['symmetric'] === false ? [`${weight}_zero_point`] : []),
      ...(record['doubleQuantization'] === true ? [`${weight}_scale_absmax`, `${weight}_scale_offset`] : []),
    ],
    check(source, coded) {
      for (const [name, { dtype, shape }] of formsOf(coded.weight, shapeOf(source, coded))) {
        expectPart(source, { name, dtypes: [dtype], shape });
      }
    },
    async decodeRows(source, coded, first, count) {
      const shape = shapeOf(source, coded);
      const { bytes, firstScale } = await readParts(source, coded.weight, shape, { first, count });
      if (canDecodeRows(shape.scheme)) return decodeRows(shape.scheme, count, shape.columns, bytes);
      const part = rowsFromParts(shape.scheme, shape.columns, { count, firstScale }, bytes);
      return dequantizeRows(part, shape.rows, first);
    },
  };
}

/** What is stored of some rows: their codes, what else of their tiles, and all of what belongs to no row. */
export async function readParts(
  source: Checkpoint,
  weight: string,
  { scheme, rows, columns }: CodedShape,
  { first, count }: { readonly first: number; readonly count: number },
): Promise<{ readonly bytes: PartBytes; readonly firstScale: number }> {
  const { tileRows, grid } = tilesOf(scheme, rows, columns);
  const [firstTile, lastTile] = [Math.floor(first / tileRows), Math.floor((first + count - 1) / tileRows)];
  const parts = new Map<PartSuffix, Uint8Array>();
  for (const [suffix, form] of partForms(scheme, rows, columns)) {
    const name = `${weight}${suffix}`;
    const isWhole = suffix === '_scale_absmax' || suffix === '_scale_offset';
    const range = suffix === '' ? { first, count } : { first: firstTile, count: lastTile - firstTile + 1 };
    parts.set(suffix, isWhole ? await source.read(name) : await readRows(source, name, form.shape[0]!, range));
  }
  return { bytes: (suffix) => parts.get(suffix)!, firstScale: firstTile * grid[1] };
}

/** What a coded weight's record says. Throws `unreadable` for one that says nothing sensible. */
export function shapeOf(source: Checkpoint, { weight, record }: CodedWeight): CodedShape {
  return schemeOfRecord(record, (problem) => unreadable(source.path, problem, { tensor: weight }));
}

function formsOf(weight: string, { scheme, rows, columns }: CodedShape) {
  return new Map([...partForms(scheme, rows, columns)].map(([suffix, form]) => [`${weight}${suffix}`, form]));
}

/** Bytes of some rows of a tensor whose leading dimension is `rows`. */
async function readRows(
  source: Checkpoint,
  name: string,
  rows: number,
  { first, count }: { readonly first: number; readonly count: number },
): Promise<Uint8Array> {
  const rowBytes = source.tensors.get(name)!.byteLength / rows;
  return source.read(name, { offset: first * rowBytes, length: count * rowBytes });
}
