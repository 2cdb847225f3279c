import type { Device } from '../tensor/index.js';
import { multiply } from './products.js';

/** Rows that are made orthogonal to each other in double precision; against those before them by products on the device. */
const BLOCK_ROWS = 32;

/** What is left of a row beside those before it, as a part of its length, below which it is rounding and no direction. */
const LEAST_PART = 1e-6;

/**
 * Makes the rows of `values` [count, length] orthonormal, in place and in order: each block is projected off those before it
 * and made orthonormal within itself, and both once more (block Gram–Schmidt, twice; Barlow & Smoktunowicz 2013). A row that
 * depends on those before it becomes 0.
 */
export async function orthonormalRows(
  values: Float32Array,
  count: number,
  length: number,
  device: Device,
): Promise<void> {
  for (let start = 0; start < count; start += BLOCK_ROWS) {
    const rows = Math.min(BLOCK_ROWS, count - start);
    const before = { values: values.subarray(0, start * length), rows: start, columns: length };
    const block = Float64Array.from(values.subarray(start * length, (start + rows) * length));
    for (const least of [LEAST_PART, 0.1]) {
      const lengths = rowLengths(block, rows, length);
      if (start > 0) await projectOff(block, before, device);
      gramSchmidt(block, { rows, length, lengths, least });
    }
    values.set(block, start * length);
  }
}

/** block −= (block · beforeᵀ) · before */
async function projectOff(
  block: Float64Array,
  before: { readonly values: Float32Array; readonly rows: number; readonly columns: number },
  device: Device,
): Promise<void> {
  const { columns } = before;
  const rows = block.length / columns;
  const single = { values: new Float32Array(block), rows, columns };
  const shares = await multiply(single, before, device, { transposeRight: true });
  const taken = await multiply({ values: shares, rows, columns: before.rows }, before, device);
  for (let i = 0; i < block.length; i += 1) block[i]! -= taken[i]!;
}

interface Rows {
  readonly rows: number;
  readonly length: number;
  /** Of each row, before anything was taken off it. */
  readonly lengths: Float64Array;
  readonly least: number;
}

/** Modified Gram–Schmidt over a few rows. */
function gramSchmidt(block: Float64Array, { rows, length, lengths, least }: Rows): void {
  for (let i = 0; i < rows; i += 1) {
    const row = block.subarray(i * length, (i + 1) * length);
    for (let j = 0; j < i; j += 1) takeOff(row, block.subarray(j * length, (j + 1) * length));
    const norm = Math.sqrt(dot(row, row));
    // A length of 0 and one that is no number both end here.
    if (norm > least * lengths[i]!) for (let k = 0; k < length; k += 1) row[k]! /= norm;
    else row.fill(0);
  }
}

function takeOff(row: Float64Array, other: Float64Array): void {
  const share = dot(row, other);
  for (let k = 0; k < row.length; k += 1) row[k]! -= share * other[k]!;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k += 1) sum += a[k]! * b[k]!;
  return sum;
}

function rowLengths(block: Float64Array, rows: number, length: number): Float64Array {
  return Float64Array.from({ length: rows }, (_, i) => {
    const row = block.subarray(i * length, (i + 1) * length);
    return Math.sqrt(dot(row, row));
  });
}
