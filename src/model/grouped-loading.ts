import type { Checkpoint } from '../checkpoint/index.js';
import { type CodedView, groupedWeight } from '../coding/index.js';
import { canUnpackGroups, type Device, disposeMatrix, type Matrix, unpackGroups } from '../tensor/index.js';
import type { LinearSpec } from './decoder.js';

/** Host bytes of codes that travel at a time. */
const PIECE_BYTES = 64 * 2 ** 20;

/**
 * A linear's weight that is stored in codes, unpacked by the device: to the bit what the checkpoint shows, at an eighth of the bytes on
 * the way for 4 bits. Undefined for one that is stored otherwise, and where the device does not unpack.
 */
export async function loadGroupedMatrix(
  checkpoint: Checkpoint | CodedView,
  { weight, rows, columns }: LinearSpec,
  device: Device,
): Promise<Matrix | undefined> {
  if (!('coded' in checkpoint)) return undefined;
  const stored = groupedWeight(checkpoint, checkpoint.aliases.get(weight) ?? weight);
  if (stored === undefined || !canUnpackGroups(stored)) return undefined;
  const rowsAtOnce = (bytes: number, bits: number) => Math.floor((8 * bytes) / (bits * columns));
  const step = Math.max(1, Math.min(rowsAtOnce(PIECE_BYTES, stored.bits), rowsAtOnce(device.maxTensorBytes, 32)));
  const matrix = { rows, columns, parts: [] as Matrix['parts'][number][] };
  try {
    for (let first = 0; first < rows; first += step) {
      const codes = await stored.read({ first, count: Math.min(step, rows - first) });
      matrix.parts.push(unpackGroups(device, codes));
    }
    return matrix;
  } catch (error) {
    disposeMatrix(matrix);
    throw error;
  }
}
