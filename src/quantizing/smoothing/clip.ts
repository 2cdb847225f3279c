import { dequantizeMatrix, quantizeMatrix, type ScaleSearch, type Scheme, tilesOf } from '../../quantization/index.js';
import { type Gram, groupErrors } from '../../solvers/index.js';
import type { Device } from '../../tensor/index.js';

/** Weights are clipped at 100 %, 95 % … 55 % of their group's largest (AutoAWQ: `n_grid` = 20, `max_shrink` = 0.5). */
export const CLIP_STEPS = 10;
const STEP = 0.05;

export interface ClipOptions {
  readonly scheme: Scheme;
  readonly search: ScaleSearch;
  readonly device: Device;
}

/**
 * The weights [rows, columns] with each row's groups clipped where that makes the error of their share of the output least: a
 * smaller range leaves its codes closer together. `gram` is of the inputs as the weights see them. Schemes whose scales are shared
 * by several rows are left as they are.
 *
 * Source: Lin et al. 2023, AWQ; AutoAWQ, `_compute_best_clip`, which looks at 512 tokens where this looks at all of them.
 */
export async function clipped(
  weight: { readonly values: Float32Array; readonly rows: number; readonly columns: number },
  gram: Gram,
  { scheme, search, device }: ClipOptions,
): Promise<Float32Array> {
  const { values, rows, columns } = weight;
  const { tileRows, tileColumns } = tilesOf(scheme, rows, columns);
  if (tileRows !== 1) return values;
  const groups = Math.ceil(columns / tileColumns);
  const largest = largestOf(weight, tileColumns, groups);
  const best = new Float64Array(rows * groups).fill(Number.POSITIVE_INFINITY);
  const limits = largest.slice();
  for (let step = 0; step < CLIP_STEPS; step += 1) {
    const tried = largest.map((most) => most * (1 - step * STEP));
    const rounded = dequantizeMatrix(
      quantizeMatrix(clamped(weight, tried, tileColumns), rows, columns, scheme, { search }),
    );
    for (let i = 0; i < rounded.length; i += 1) rounded[i]! -= values[i]!;
    const errors = await groupErrors({ ...weight, values: rounded }, gram, tileColumns, device);
    for (let i = 0; i < errors.length; i += 1) {
      if (!(errors[i]! < best[i]!)) continue;
      best[i] = errors[i]!;
      limits[i] = tried[i]!;
    }
  }
  return clamped(weight, limits, tileColumns);
}

interface Weight {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** The largest magnitude of each group, [rows, groups]. */
function largestOf({ values, rows, columns }: Weight, tileColumns: number, groups: number): Float32Array {
  const largest = new Float32Array(rows * groups);
  for (let i = 0; i < values.length; i += 1) {
    const at = Math.floor(i / columns) * groups + Math.floor((i % columns) / tileColumns);
    largest[at] = Math.max(largest[at]!, Math.abs(values[i]!));
  }
  return largest;
}

/** The weights cut at ± their group's limit. */
function clamped({ values, columns }: Weight, limits: Float32Array, tileColumns: number): Float32Array {
  const groups = Math.ceil(columns / tileColumns);
  return values.map((value, i) => {
    const limit = limits[Math.floor(i / columns) * groups + Math.floor((i % columns) / tileColumns)]!;
    return Math.min(limit, Math.max(-limit, value));
  });
}
