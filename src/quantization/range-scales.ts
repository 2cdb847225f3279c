import { BirdboneError } from '../errors.js';
import { decodeToF32, encodeFromF32 } from '../tensor/index.js';
import type { ElementType } from './elements.js';
import { nestScales } from './nested-scales.js';
import type { Scales } from './quantized-matrix.js';
import type { ScaleDtype, Scheme } from './scheme.js';
import type { Tiles } from './tiles.js';

/** The smallest and largest value of each tile, 0 among them. */
export interface Ranges {
  readonly least: Float32Array;
  readonly most: Float32Array;
}

/** Throws `unsupported` for values that are not finite, which no scale holds. */
export function rangesOf(values: Float32Array, tiles: Tiles): Ranges {
  const { rows, columns, tileRows, tileColumns, grid } = tiles;
  const least = new Float32Array(grid[0] * grid[1]);
  const most = new Float32Array(grid[0] * grid[1]);
  let sum = 0;
  for (let row = 0; row < rows; row += 1) {
    let index = Math.floor(row / tileRows) * grid[1];
    const rowEnd = (row + 1) * columns;
    for (let start = row * columns; start < rowEnd; start += tileColumns, index += 1) {
      const end = Math.min(start + tileColumns, rowEnd);
      let low = least[index]!;
      let high = most[index]!;
      for (let i = start; i < end; i += 1) {
        const value = values[i]!;
        if (value < low) low = value;
        if (value > high) high = value;
        sum += value;
      }
      least[index] = low;
      most[index] = high;
    }
  }
  // NaN and Inf pass through sums, and sums of finite float32 never leave the range of a double.
  if (!Number.isFinite(sum)) throw notFinite();
  return { least, most };
}

export function notFinite(): BirdboneError {
  return new BirdboneError('unsupported', 'Values that are NaN or infinite cannot be stored in fewer bits.', {
    suggestions: ['Find them: birdbone evaluate names the first part of a model that gives no numbers.'],
  });
}

/** compressed-tensors writes the type's machine epsilon where a scale would be 0, so that nothing is divided by 0. */
const EPSILON: Readonly<Record<ScaleDtype, number>> = { F16: 2 ** -10, BF16: 2 ** -7, F32: 2 ** -23 };

/**
 * Scales (and zero points) by which each tile's range fits its codes, rounded to what they are stored in. Source:
 * compressed-tensors, quantization/utils/helpers.py, `calculate_qparams`. Throws `unsupported` for ranges beyond the scales' type.
 */
export function scalesOfRanges(
  ranges: Ranges,
  scheme: Scheme,
  elements: ElementType,
  { grid }: Pick<Tiles, 'grid'>,
): Scales {
  const { least, most } = ranges;
  const exact = new Float32Array(least.length);
  for (let i = 0; i < exact.length; i += 1) {
    exact[i] = scheme.symmetric
      ? Math.max(-least[i]!, most[i]!) / elements.top
      : (most[i]! - least[i]!) / (2 * elements.top);
  }
  if (scheme.doubleQuantization) return nestScales(exact, grid);
  const values = storedScales(exact, scheme.scaleDtype);
  if (scheme.symmetric) return { shape: grid, values };
  const zeroPoints = new Uint8Array(values.length);
  const top = 2 * elements.top;
  for (let i = 0; i < values.length; i += 1) {
    zeroPoints[i] = Math.min(top, Math.max(0, roundHalfEven(-least[i]! / values[i]!)));
  }
  return { shape: grid, values, zeroPoints };
}

/** Scales rounded to the type they are stored in, never 0. Throws `unsupported` where one is beyond the type. */
export function storedScales(exact: Float32Array, dtype: ScaleDtype): Float32Array {
  const stored = dtype === 'F32' ? exact.slice() : decodeToF32(encodeFromF32(exact, dtype), dtype);
  for (let i = 0; i < stored.length; i += 1) {
    if (stored[i] === 0) stored[i] = EPSILON[dtype];
    else if (!Number.isFinite(stored[i]!)) {
      throw new BirdboneError('unsupported', `A scale of ${exact[i]!.toPrecision(4)} is beyond what ${dtype} holds.`, {
        suggestions: ['Store the scales as BF16 or F32.'],
      });
    }
  }
  return stored;
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
