import { stopIfAborted } from '../errors.js';
import { isKept, type Mask } from '../sparsity/index.js';
import { ColumnSweep, type Device, SWEEP_BLOCK_COLUMNS } from '../tensor/index.js';
import type { Reals } from './panel.js';
import type { RoundingTiles } from './rounding-tiles.js';
import type { Removal, SolverMatrix } from './solver.js';

/** Ranks the weights of inputs that are always 0 before all others, by size among themselves. */
export const DEAD_INPUT = 2 ** -64;

export interface DeviceSweep {
  readonly device: Device;
  readonly upper: Reals;
  readonly dead: Uint8Array;
  readonly present: Mask;
  readonly signal?: AbortSignal | undefined;
}

/**
 * SparseGPT's sweep by the device's kernels, in place: as `sweepColumns`, in single precision. False, and nothing done, where the
 * device has none, where the matrix does not fit it, or where a pattern is not one that the kernels choose by.
 */
export async function sweepOnDevice(matrix: SolverMatrix, removal: Removal, sweep: DeviceSweep): Promise<boolean> {
  const { rows, columns, values } = matrix;
  const { device, upper, signal } = sweep;
  const { group } = removal;
  const kept = group === undefined ? undefined : keptOf(removal, columns);
  if (group !== undefined && (kept === undefined || group > SWEEP_BLOCK_COLUMNS)) return false;
  const running = ColumnSweep.open(device, { values: upper, size: columns }, { values, rows, columns });
  if (running === undefined) return false;
  try {
    const width = group === undefined ? SWEEP_BLOCK_COLUMNS : SWEEP_BLOCK_COLUMNS - (SWEEP_BLOCK_COLUMNS % group);
    for (let start = 0; start < columns; start += width) {
      stopIfAborted(signal);
      const count = Math.min(width, columns - start);
      const keep = keptBefore(sweep.present, start, count);
      if (group !== undefined && kept !== undefined) {
        const bias = Float32Array.from({ length: count }, (_, j) => (sweep.dead[start + j] === 1 ? DEAD_INPUT : 1));
        await running.step(count, { kind: 'choose', keep, group, kept, bias });
      } else {
        const block = await running.peek(count);
        await running.step(count, {
          kind: 'prune',
          keep: chosen(matrix, removal, sweep, { block, keep, start, count }),
        });
      }
    }
    values.set((await running.finish()).values);
    return true;
  } finally {
    running.dispose();
  }
}

/** How many of each group stay, where that is all there is to the pattern. */
function keptOf(removal: Removal, columns: number): number | undefined {
  const rule = removal.rule?.(columns);
  return rule?.group === removal.group ? rule?.kept : undefined;
}

/** 1 where a weight was not 0 before the sweep, [rows, count]. */
export function keptBefore(present: Mask, start: number, count: number): Int32Array {
  const keep = new Int32Array(present.rows * count);
  for (let row = 0, next = 0; row < present.rows; row += 1) {
    for (let j = start; j < start + count; j += 1, next += 1) keep[next] = Number(isKept(present, row, j));
  }
  return keep;
}

interface ChosenBlock {
  readonly block: Float32Array;
  readonly keep: Int32Array;
  readonly start: number;
  readonly count: number;
}

/** `keep` without what the pattern removes of the whole block, by |w| / U_jj. */
function chosen(
  { name, rows, columns }: SolverMatrix,
  removal: Removal,
  { upper, dead }: DeviceSweep,
  { block, keep, start, count }: ChosenBlock,
): Int32Array {
  const scores = block.map((weight, i) => {
    const j = start + (i % count);
    const score = keep[i] === 0 ? 0 : Math.abs(weight) / upper[j * columns + j]!;
    return dead[j] === 1 ? score * DEAD_INPUT : score;
  });
  const mask = removal.mask({ name, rows, columns: count, values: scores }, start);
  return keep.map((there, i) => there & Number(isKept(mask, Math.floor(i / count), i % count)));
}

export interface DeviceRounding {
  readonly device: Device;
  readonly upper: Reals;
  readonly present: Mask;
  readonly order: Int32Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * GPTQ's sweep by the device's kernels over weights [rows, columns] in the order of the sweep, in place; the tiles take the codes.
 * Σ ((w − q) / U_jj)², or undefined, and nothing done, where the device has none or the matrix does not fit it.
 */
export async function roundOnDevice(
  weights: Float32Array,
  tiles: RoundingTiles,
  { device, upper, present, order, signal }: DeviceRounding,
): Promise<number | undefined> {
  const { rows, columns } = present;
  const running = ColumnSweep.open(device, { values: upper, size: columns }, { values: weights, rows, columns });
  if (running === undefined) return undefined;
  try {
    const { most, values } = tiles;
    for (let start = 0; start < columns; start += SWEEP_BLOCK_COLUMNS) {
      stopIfAborted(signal);
      const count = Math.min(SWEEP_BLOCK_COLUMNS, columns - start);
      const places = Int32Array.from({ length: count }, (_, j) => order?.[start + j] ?? start + j);
      const groupOf = places.map((column) => tiles.groupOf(column));
      const keep = keptBefore(present, start, count);
      tiles.take(places, (await running.step(count, { kind: 'round', keep, most, tiles: values, groupOf }))!);
    }
    const result = await running.finish();
    weights.set(result.values);
    return result.loss;
  } finally {
    running.dispose();
  }
}
