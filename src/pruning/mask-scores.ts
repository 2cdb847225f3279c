import type { LinearSpec } from '../model/index.js';
import type { Removal } from '../solvers/index.js';
import { type Mask, maskBytes } from '../sparsity/index.js';
import { canMaskOnDevice, type Device, type GroupRule, maskOnDevice, showValues } from '../tensor/index.js';
import { readScores, type ScoreSlices } from './score-matrix.js';

/** Scores of so many bytes are ranked at a time where rows do not see each other: what is made of them on the host stays as small. */
const PIECE_BYTES = 2 ** 20;

/**
 * The mask of one matrix by its scores. Where the removal is a rule for rows, it is chosen where the scores are if the device has
 * kernels for it, so that an eighth of a byte a weight comes back instead of four, else some rows at a time; any other one on the host
 * from all scores. The same mask whichever way.
 */
export async function maskScores(
  removal: Removal,
  spec: LinearSpec,
  slices: ScoreSlices,
  device: Device,
): Promise<Mask> {
  const { rows, columns } = spec;
  const rule = removal.rule?.(columns);
  if (rule === undefined) return removal.mask(await readScores(spec, slices, device));
  const bits = canMaskOnDevice() ? await bitsOnDevice(rule, spec, slices, device) : undefined;
  return { rows, columns, bits: bits ?? (await bitsByRows(removal, spec, slices, device)) };
}

/** Rows are ranked in pieces; one whose scores have no rank is named. */
async function bitsByRows(
  removal: Removal,
  { weight: name, rows, columns }: LinearSpec,
  slices: ScoreSlices,
  device: Device,
): Promise<Uint8Array> {
  const bits = new Uint8Array(maskBytes(rows * columns));
  const step = columns * Math.max(1, Math.floor(PIECE_BYTES / (4 * columns)));
  await slices((scores, first) =>
    showValues(scores, device, (all) => {
      for (let start = 0; start < all.length; start += step) {
        const values = all.subarray(start, start + step) as Float32Array;
        const firstRow = (first + start) / columns;
        const some = removal.mask({ name, rows: values.length / columns, columns, values, firstRow });
        putBits(bits, some.bits, first + start);
      }
    }),
  );
  return bits;
}

/** Undefined where a score has no rank: bringing them to the host says which. */
async function bitsOnDevice(
  rule: GroupRule,
  { rows, columns }: LinearSpec,
  slices: ScoreSlices,
  device: Device,
): Promise<Uint8Array | undefined> {
  const bits = new Uint8Array(maskBytes(rows * columns));
  let chosen = true;
  await slices(async (scores, firstElement) => {
    if (!chosen) return;
    const some = await maskOnDevice(scores, rule, device);
    if (some === undefined) chosen = false;
    else putBits(bits, some, firstElement);
  });
  return chosen ? bits : undefined;
}

/** Joins bits on from bit `first` on, over bits that are 0; those behind the last one are 0 in both. */
function putBits(bits: Uint8Array, some: Uint8Array, first: number): void {
  const [start, shift] = [Math.floor(first / 8), first % 8];
  for (const [i, byte] of some.entries()) {
    bits[start + i]! |= byte << shift;
    if (shift > 0 && start + i + 1 < bits.length) bits[start + i + 1]! |= byte >>> (8 - shift);
  }
}
