import type { Checkpoint } from '../checkpoint/index.js';
import type { LinearSpec } from '../model/index.js';
import { canRoundRows, type RoundedRows, type RowRounder, type Scheme } from '../quantization/index.js';
import { readAhead } from '../threads/index.js';

/** Stored bytes that are rounded at a time: some milliseconds of a thread's work, and little memory for each. */
const STRIP_BYTES = 8 * 2 ** 20;

/**
 * A linear's weight rounded to nearest, in strips of rows one after the other, of which a few more than the rounder has threads are
 * under way; undefined for a scheme, a stored type or a layout that `roundRows` does not take.
 */
export function roundedStrips(
  checkpoint: Checkpoint,
  { weight, rows, columns, layout }: LinearSpec,
  scheme: Scheme,
  rounder: RowRounder,
): AsyncIterable<RoundedRows> | undefined {
  const { dtype: from, byteLength } = checkpoint.tensors.get(checkpoint.aliases.get(weight) ?? weight)!;
  if (layout === 'in-out' || !canRoundRows(scheme, from)) return undefined;
  const rowBytes = byteLength / rows;
  const stripBytes = Math.max(1, Math.floor(STRIP_BYTES / rowBytes)) * rowBytes;
  const strips = function* () {
    for (let offset = 0; offset < byteLength; offset += stripBytes) {
      const range = { offset, length: Math.min(stripBytes, byteLength - offset) };
      yield async () => rounder.round({ bytes: await checkpoint.read(weight, range), from, columns, scheme });
    }
  };
  return readAhead(strips(), rounder.parallel + 1);
}
