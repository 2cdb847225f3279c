import type { ElementType } from './elements.js';
import type { Scales } from './quantized-matrix.js';
import { forEachRun, type Tiles } from './tiles.js';

export interface ErrorWeights {
  readonly elements: ElementType;
  readonly tiles: Tiles;
  /** What an error in each column weighs; 1 unless given. */
  readonly importance?: Float32Array | undefined;
}

/** Σ importance · (x − dq(q(x)))² of each tile under these scales; 0 for tiles that are not `wanted`. */
export function tileErrors(
  values: Float32Array,
  scales: Scales,
  { elements, tiles, importance }: ErrorWeights,
  wanted: (tile: number) => boolean = () => true,
): Float64Array {
  const errors = new Float64Array(scales.values.length);
  const codes = new Uint8Array(Math.min(tiles.tileColumns, tiles.columns));
  const { levels, center } = elements;
  forEachRun(tiles, (start, end, index) => {
    if (!wanted(index)) return;
    const scale = scales.values[index]!;
    const zero = scales.zeroPoints === undefined ? center : scales.zeroPoints[index]!;
    elements.encode(values, start, end, { scale, zero, codes, at: 0 });
    const column = start % tiles.columns;
    let sum = 0;
    for (let i = start, at = 0; i < end; i += 1, at += 1) {
      const error = values[i]! - (levels[codes[at]!]! - zero) * scale;
      sum += importance === undefined ? error * error : importance[column + at]! * error * error;
    }
    errors[index]! += sum;
  });
  return errors;
}
