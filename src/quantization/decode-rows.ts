import { decodeToF32 } from '../tensor/index.js';
import { rowBytesOf } from './bit-stream.js';
import { elementsOf } from './elements.js';
import type { PartBytes } from './parts.js';
import { kernelsWithRoom, Places } from './rounding-kernel.js';
import type { Scheme } from './scheme.js';
import { tilesOf } from './tiles.js';

/** Values that the kernel has at once: their float32 stays in a core's cache. */
const KERNEL_VALUES = 65_536;

/** Whether `decodeRows` takes it: integers whose scales are of one row each. */
export function canDecodeRows({ type, bits, strategy }: Scheme): boolean {
  return type === 'int' && bits <= 8 && (strategy === 'group' || strategy === 'channel');
}

/**
 * Values [rows, columns] of whole rows from the bytes that are stored of them, by the WebAssembly kernel: what `dequantizeRows` makes
 * of `rowsFromParts`, to the bit. For schemes that `canDecodeRows` takes.
 */
export function decodeRows(scheme: Scheme, rows: number, columns: number, bytes: PartBytes): Float32Array<ArrayBuffer> {
  const { grid, tileColumns } = tilesOf(scheme, rows, columns);
  const rowBytes = rowBytesOf(columns, scheme.bits);
  const packed = bytes('');
  const scales = decodeToF32(bytes('_scale'), scheme.scaleDtype);
  const zeros = scheme.symmetric
    ? new Float32Array(scales.length).fill(elementsOf(scheme).center)
    : Float32Array.from(bytes('_zero_point'));
  if (packed.length !== rows * rowBytes || scales.length !== rows * grid[1] || zeros.length !== scales.length) {
    throw new RangeError(`${packed.length} bytes of codes and ${scales.length} scales are no ${rows} rows.`);
  }
  const values = new Float32Array(rows * columns);
  const step = Math.max(1, Math.floor(KERNEL_VALUES / columns));
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const shape = { rows: count, columns, tileColumns: Math.min(tileColumns, columns), bits: scheme.bits };
    const part = decodePart(
      {
        packed: packed.subarray(row * rowBytes, (row + count) * rowBytes),
        scales: scales.subarray(row * grid[1], (row + count) * grid[1]),
        zeros: zeros.subarray(row * grid[1], (row + count) * grid[1]),
      },
      shape,
    );
    values.set(part, row * columns);
  }
  return values;
}

/** Codes of rows with what each run of them is decoded by. */
interface CodedRun {
  readonly packed: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Float32Array;
}

interface RowShape {
  readonly rows: number;
  readonly columns: number;
  readonly tileColumns: number;
  readonly bits: number;
}

/** The values, in the kernel's memory: they are there until it is used again. */
function decodePart({ packed, scales, zeros }: CodedRun, { rows, columns, tileColumns, bits }: RowShape): Float32Array {
  const places = new Places();
  const at = {
    packed: places.take(packed.length),
    scales: places.take(4 * scales.length),
    zeros: places.take(4 * zeros.length),
    codes: places.take(columns),
    values: places.take(4 * rows * columns),
  };
  const { kernel, buffer } = kernelsWithRoom(places.end);
  new Uint8Array(buffer).set(packed, at.packed);
  new Float32Array(buffer, at.scales).set(scales);
  new Float32Array(buffer, at.zeros).set(zeros);
  kernel.decode(at.packed, rows, columns, tileColumns, at.scales, at.zeros, bits, at.codes, at.values);
  return new Float32Array(buffer, at.values, rows * columns);
}
