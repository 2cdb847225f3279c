import { type Checkpoint, unreadable } from '../checkpoint/index.js';
import {
  type CodedShape,
  canDecodeRows,
  decodeRows,
  dequantizeRows,
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
      const { tileRows, grid } = tilesOf(shape.scheme, shape.rows, shape.columns);
      const [firstTile, lastTile] = [Math.floor(first / tileRows), Math.floor((first + count - 1) / tileRows)];
      const bytes = new Map<PartSuffix, Uint8Array>();
      for (const [suffix, form] of partForms(shape.scheme, shape.rows, shape.columns)) {
        const name = `${coded.weight}${suffix}`;
        const isWhole = suffix === '_scale_absmax' || suffix === '_scale_offset';
        const rows = suffix === '' ? { first, count } : { first: firstTile, count: lastTile - firstTile + 1 };
        bytes.set(suffix, isWhole ? await source.read(name) : await readRows(source, name, form.shape[0]!, rows));
      }
      if (canDecodeRows(shape.scheme)) {
        return decodeRows(shape.scheme, count, shape.columns, (suffix) => bytes.get(suffix)!);
      }
      const firstScale = firstTile * grid[1];
      const part = rowsFromParts(shape.scheme, shape.columns, { count, firstScale }, (suffix) => bytes.get(suffix)!);
      return dequantizeRows(part, shape.rows, first);
    },
  };
}

function shapeOf(source: Checkpoint, { weight, record }: CodedWeight): CodedShape {
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
