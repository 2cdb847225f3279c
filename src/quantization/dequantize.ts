import { decodeToF32 } from '../tensor/index.js';
import { elementsOf } from './elements.js';
import type { QuantizedMatrix } from './quantized-matrix.js';
import { forEachRun, tilesOf } from './tiles.js';

/** Values [rows, columns] of the matrix, row-major: what its codes stand for, in float32. */
export function dequantizeMatrix(matrix: QuantizedMatrix): Float32Array {
  return dequantizeRows(matrix, matrix.rows, 0);
}

/**
 * The same of some rows of a matrix of `allRows` rows, from `firstRow` on: `part` has their codes and the scales of the tiles that
 * they are in.
 */
export function dequantizeRows(part: QuantizedMatrix, allRows: number, firstRow: number): Float32Array {
  const { scheme, rows, columns, codes, scales } = part;
  if (codes instanceof Uint16Array) {
    return decodeToF32(new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength), scheme.format!);
  }
  const { levels, center } = elementsOf(scheme);
  const values = new Float32Array(rows * columns);
  const tiles = { ...tilesOf(scheme, allRows, columns), rows };
  forEachRun(
    tiles,
    (start, end, index) => {
      const scale = scales.values[index]!;
      const zero = scales.zeroPoints === undefined ? center : scales.zeroPoints[index]!;
      for (let i = start; i < end; i += 1) values[i] = (levels[codes[i]!]! - zero) * scale;
    },
    firstRow,
  );
  return values;
}
