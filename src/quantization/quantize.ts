import { encodeFromF32 } from '../tensor/index.js';
import { clippedScales } from './clip-search.js';
import { elementsOf } from './elements.js';
import { halfQuadraticScales } from './hqq.js';
import type { QuantizedMatrix, Scales } from './quantized-matrix.js';
import { rangesOf, scalesOfRanges } from './range-scales.js';
import type { Scheme } from './scheme.js';
import { forEachRun, type Tiles, tilesOf } from './tiles.js';

/** How the scales of a matrix are found: by its largest values, by least squared error, or by half-quadratic splitting. */
export type ScaleSearch = 'absmax' | 'mse' | 'hqq';

export interface QuantizeOptions {
  /** Absent: `absmax`. */
  readonly search?: ScaleSearch;
  /** Columns: what an error in each weighs, for `mse` (mean squares of the inputs); all the same unless given. */
  readonly importance?: Float32Array;
  /** Scales to use instead of finding any, as `findScales` gives them. */
  readonly scales?: Scales;
}

/**
 * The matrix (row-major values, not modified) in the scheme's codes, each the nearest to its value under its tile's scale
 * (round-to-nearest, ties to even). Throws `unsupported` for values that are not finite.
 *
 * @example quantizeMatrix(values, 4096, 4096, schemeOf('int4', { groupSize: 128 }), { search: 'mse' })
 */
export function quantizeMatrix(
  values: Float32Array,
  rows: number,
  columns: number,
  scheme: Scheme,
  options: QuantizeOptions = {},
): QuantizedMatrix {
  checkSize(values, rows, columns);
  if (scheme.bits === 16) return { scheme, rows, columns, codes: halves(values, scheme), scales: noScales() };
  const scales = options.scales ?? findScales(values, rows, columns, scheme, options);
  const tiles = tilesOf(scheme, rows, columns);
  return { scheme, rows, columns, codes: encodeTiles(values, scheme, tiles, scales), scales };
}

/** The scales that `quantizeMatrix` would use. */
export function findScales(
  values: Float32Array,
  rows: number,
  columns: number,
  scheme: Scheme,
  { search = 'absmax', importance }: QuantizeOptions = {},
): Scales {
  checkSize(values, rows, columns);
  if (scheme.bits === 16) return noScales();
  const tiles = tilesOf(scheme, rows, columns);
  const ranges = rangesOf(values, tiles);
  const elements = elementsOf(scheme);
  if (search === 'mse') return clippedScales(values, ranges, { scheme, elements, tiles, importance });
  if (search === 'hqq') return halfQuadraticScales(values, ranges, { scheme, elements, tiles });
  return scalesOfRanges(ranges, scheme, elements, tiles);
}

function encodeTiles(values: Float32Array, scheme: Scheme, tiles: Tiles, scales: Scales): Uint8Array {
  const elements = elementsOf(scheme);
  const codes = new Uint8Array(values.length);
  forEachRun(tiles, (start, end, index) => {
    const zero = scales.zeroPoints === undefined ? elements.center : scales.zeroPoints[index]!;
    elements.encode(values, start, end, { scale: scales.values[index]!, zero, codes, at: start });
  });
  return codes;
}

function halves(values: Float32Array, { format }: Scheme): Uint16Array {
  return new Uint16Array(encodeFromF32(values, format!).buffer);
}

function noScales(): Scales {
  return { shape: [0, 0], values: new Float32Array(0) };
}

function checkSize(values: Float32Array, rows: number, columns: number): void {
  if (values.length !== rows * columns) throw new RangeError(`${values.length} values in ${rows} × ${columns}`);
}
