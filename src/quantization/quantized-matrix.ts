import type { Scheme } from './scheme.js';

/** Scales of a matrix, and zero points where the scheme has them, one for each tile of its grid, row-major. */
export interface Scales {
  readonly shape: readonly [down: number, across: number];
  /** Values as they are stored: already rounded to the scheme's `scaleDtype`, or to what double quantization makes of them. */
  readonly values: Float32Array;
  /** Codes that stand for 0, with asymmetric schemes; all others have the same for every tile. */
  readonly zeroPoints?: Uint8Array;
  /** How `values` are stored, with double quantization. */
  readonly nested?: NestedScales;
}

/** Scales as codes of 8 bits: scale = level(code) · absmax of its 256 + offset. */
export interface NestedScales {
  readonly codes: Uint8Array;
  /** One for each 256 consecutive scales. */
  readonly absmax: Float32Array;
  /** The mean of all scales, which was taken off them. */
  readonly offset: number;
}

/**
 * A matrix [rows, columns] in fewer bits. An element's value is (level(code) − zero) · scale: for integers level(code) is the code
 * itself, offset binary u = q + 2^(bits−1), and zero is 2^(bits−1) or the tile's zero point; for floats and codebooks level(code)
 * is the code point's value and zero is 0.
 */
export interface QuantizedMatrix {
  readonly scheme: Scheme;
  readonly rows: number;
  readonly columns: number;
  /** One code an element, row-major; Uint16Array for schemes of 16 bits alone. */
  readonly codes: Uint8Array | Uint16Array;
  readonly scales: Scales;
}
