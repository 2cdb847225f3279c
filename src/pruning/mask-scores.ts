import type { LinearSpec } from '../model/index.js';
import type { Removal } from '../solvers/index.js';
import { type Mask, maskBytes } from '../sparsity/index.js';
import { canMaskOnDevice, type Device, type GroupRule, maskOnDevice } from '../tensor/index.js';
import { readScores, type ScoreSlices } from './score-matrix.js';

/**
 * The mask of one matrix by its scores: chosen where the scores are, so that an eighth of a byte a weight comes back instead of
 * four, where the removal is a rule for rows and the device has kernels for it; else on the host. The same mask either way.
 */
export async function maskScores(
  removal: Removal,
  spec: LinearSpec,
  slices: ScoreSlices,
  device: Device,
): Promise<Mask> {
  const rule = removal.rule?.(spec.columns);
  const bits = rule && canMaskOnDevice() ? await bitsOnDevice(rule, spec, slices, device) : undefined;
  if (bits === undefined) return removal.mask(await readScores(spec, slices, device));
  return { rows: spec.rows, columns: spec.columns, bits };
}

/** Undefined where a score has no rank: bringing all of them to the host says which. */
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
