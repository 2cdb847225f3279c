import type { ClipSearch } from './clip-search.js';
import type { ElementType } from './elements.js';
import type { Scales } from './quantized-matrix.js';
import { type Ranges, scalesOfRanges, storedScales } from './range-scales.js';
import { forEachTile } from './tiles.js';

/** The reference's constants (mobiusml/hqq, hqq/core/optimize.py): p of the norm, β and its growth, iterations at most. */
const P = 0.7;
const BETA = 10;
const GROWTH = 1.01;
const ITERATIONS = 20;

/** Shares of a tile's range that the search starts from: it ends in the local minimum nearest to its start. */
const STARTS = [1, 0.9, 0.8, 0.7, 0.6];

/**
 * Scales and zero points by half-quadratic splitting, without data: W − W_q is taken for sparse errors e, which a p-norm with p < 1
 * leaves alone, plus noise, which is fitted by least squares; the two are solved for in turn until the squared error falls no more.
 *
 * Source: Badri & Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models". Unlike there the zero point is a whole
 * number at each step, as engines store it, and the scale is solved for instead; the shrinkage works in steps of the scale, so that
 * weights times a constant give the same codes.
 */
export function halfQuadraticScales(values: Float32Array, ranges: Ranges, search: ClipSearch): Scales {
  const { scheme, elements, tiles } = search;
  if (scheme.type !== 'int') throw new RangeError(`half-quadratic splitting finds integers, not ${scheme.type}s`);
  const start = scalesOfRanges(ranges, scheme, elements, tiles);
  const fitted = start.values.slice();
  const work = new Splitting(
    elements,
    Math.min(tiles.tileRows, tiles.rows) * Math.min(tiles.tileColumns, tiles.columns),
  );
  forEachTile(values, tiles, (tile, index) => {
    const zero = start.zeroPoints?.[index];
    const best = work.fit(tile, { scale: start.values[index]!, zero });
    fitted[index] = best.scale;
    if (start.zeroPoints) start.zeroPoints[index] = best.zero;
  });
  return { ...start, values: storedScales(fitted, scheme.scaleDtype) };
}

interface Fit {
  scale: number;
  zero: number;
}

/** Fits one tile after the other, in the same room. */
class Splitting {
  readonly #elements: ElementType;
  readonly #codes: Uint8Array;
  /** What scale and zero are fitted to: the tile without its outliers' errors, in steps of the scale. */
  readonly #fitted: Float64Array;

  constructor(elements: ElementType, mostElements: number) {
    this.#elements = elements;
    this.#codes = new Uint8Array(mostElements);
    this.#fitted = new Float64Array(mostElements);
  }

  /** The scale and zero of least squared error that any start leads to; `zero` is undefined where it is not to be searched for. */
  fit(tile: Float32Array, whole: { readonly scale: number; readonly zero: number | undefined }): Fit {
    const best = { scale: whole.scale, zero: whole.zero ?? this.#elements.center, error: Number.POSITIVE_INFINITY };
    for (const share of STARTS) {
      const at: Fit = { scale: whole.scale * share, zero: whole.zero ?? this.#elements.center };
      let last = Number.POSITIVE_INFINITY;
      for (let step = 0, beta = BETA; step < ITERATIONS; step += 1, beta *= GROWTH) {
        const { scale, zero } = at;
        const error = this.#step(tile, at, beta, whole.zero !== undefined);
        if (error < best.error) Object.assign(best, { scale, zero, error });
        if (error >= last) break;
        last = error;
      }
    }
    return best;
  }

  /** Rounds the tile under the fit, and moves the fit to its next step; returns the squared error before. */
  #step(tile: Float32Array, fit: Fit, beta: number, movesZero: boolean): number {
    const { scale, zero } = fit;
    const codes = this.#codes;
    const fitted = this.#fitted;
    const least = (1 / beta) ** (1 / (2 - P));
    this.#elements.encode(tile, 0, tile.length, { scale, zero, codes, at: 0 });
    let [squares, zeros] = [0, 0];
    for (let i = 0; i < tile.length; i += 1) {
      const exact = tile[i]! / scale;
      const error = exact - (codes[i]! - zero);
      const magnitude = Math.abs(error);
      squares += error * error;
      // The proximal operator of the p-norm: what of an error is taken for an outlier's.
      const outlier = magnitude <= least ? 0 : magnitude - slopeAt(magnitude) / beta;
      fitted[i] = error < 0 ? exact + outlier : exact - outlier;
      zeros += codes[i]! - fitted[i]!;
    }
    if (movesZero) fit.zero = Math.min(2 * this.#elements.top, Math.max(0, Math.round(zeros / tile.length)));
    let [product, norm] = [0, 0];
    for (let i = 0; i < tile.length; i += 1) {
      const level = codes[i]! - fit.zero;
      product += level * fitted[i]!;
      norm += level * level;
    }
    if (product > 0 && norm > 0) fit.scale = Math.fround((scale * product) / norm);
    return squares * scale * scale;
  }
}

/** x^(p − 1) at the middles of 4096 parts of [0, 1], where the errors of what is not clipped lie: powers are slow. */
const SLOPES = Float64Array.from({ length: 4096 }, (_, i) => ((i + 0.5) / 4096) ** (P - 1));

function slopeAt(magnitude: number): number {
  return magnitude < 1 ? SLOPES[Math.floor(magnitude * 4096)]! : magnitude ** (P - 1);
}
