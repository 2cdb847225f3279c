import type { ElementType } from './elements.js';
import { nestScales } from './nested-scales.js';
import type { Scales } from './quantized-matrix.js';
import { type Ranges, scalesOfRanges } from './range-scales.js';
import type { Scheme } from './scheme.js';
import { tileErrors } from './tile-errors.js';
import type { Tiles } from './tiles.js';

/** Ranges are tried from whole down to a fifth, in hundredths (GPTQ's `Quantizer`: grid 100, maxshrink 0.8). */
const STEP = 0.01;
const SMALLEST = 0.2;

/** A tile whose error has not fallen for so many steps is left alone: the errors of a narrower range only grow. */
const PATIENCE = 10;

export interface ClipSearch {
  readonly scheme: Scheme;
  readonly elements: ElementType;
  readonly tiles: Tiles;
  /** What an error in each column weighs; 1 unless given. */
  readonly importance?: Float32Array | undefined;
}

/**
 * The scales of least squared error among those that clip each tile's range: never worse than the whole range, which is the first
 * that is tried. Source: Frantar et al. 2022 (GPTQ), `find_params` with `mse`.
 */
export function clippedScales(values: Float32Array, ranges: Ranges, search: ClipSearch): Scales {
  const { scheme, elements, tiles } = search;
  const plain = withoutNesting(scheme);
  const best = scalesOfRanges(ranges, plain, elements, tiles);
  const least = tileErrors(values, best, search);
  const waited = new Uint8Array(least.length);
  const shrunk = { least: ranges.least.slice(), most: ranges.most.slice() };
  for (let factor = 1 - STEP; factor > SMALLEST && waited.some((steps) => steps < PATIENCE); factor -= STEP) {
    for (let i = 0; i < least.length; i += 1) {
      shrunk.least[i] = ranges.least[i]! * factor;
      shrunk.most[i] = ranges.most[i]! * factor;
    }
    const candidate = scalesOfRanges(shrunk, plain, elements, tiles);
    const errors = tileErrors(values, candidate, search, (tile) => waited[tile]! < PATIENCE);
    for (let i = 0; i < least.length; i += 1) {
      if (waited[i] === PATIENCE) continue;
      waited[i]! += 1;
      if (errors[i]! >= least[i]!) continue;
      waited[i] = 0;
      least[i] = errors[i]!;
      best.values[i] = candidate.values[i]!;
      if (best.zeroPoints) best.zeroPoints[i] = candidate.zeroPoints![i]!;
    }
  }
  return scheme.doubleQuantization ? nestScales(best.values, tiles.grid) : best;
}

/** Scales that become codes themselves are searched as they are, and become codes at the end. */
function withoutNesting({ doubleQuantization: _, ...scheme }: Scheme): Scheme {
  return scheme;
}
