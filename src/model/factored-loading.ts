import type { Checkpoint } from '../checkpoint/index.js';
import type { CodedView } from '../coding/index.js';
import type { Device, Matrix } from '../tensor/index.js';
import { disposeMatrix } from '../tensor/index.js';
import type { LinearSpec } from './decoder.js';
import { loadMatrix } from './matrix-loading.js';

/**
 * A linear's weight as the two factors that it is stored as, on the device; undefined for one that is stored otherwise. Their
 * product is never made: a pass takes rank · (rows + columns) of its numbers, not rows · columns.
 */
export async function loadFactoredMatrix(
  checkpoint: Checkpoint | CodedView,
  { weight, rows, columns }: LinearSpec,
  device: Device,
): Promise<Matrix | undefined> {
  if (!('coded' in checkpoint)) return undefined;
  const { raw, coded, aliases } = checkpoint;
  const stored = aliases.get(weight) ?? weight;
  if (coded.get(stored)?.kind !== 'factors') return undefined;
  const rank = raw.tensors.get(stored)!.shape[1]!;
  const left = await loadMatrix(raw, stored, { rows, columns: rank }, device);
  try {
    const right = await loadMatrix(raw, `${stored}_right`, { rows: rank, columns }, device);
    return { rows, columns, parts: left.parts, right };
  } catch (error) {
    disposeMatrix(left);
    throw error;
  }
}
