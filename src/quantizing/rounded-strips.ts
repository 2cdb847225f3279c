import type { Checkpoint, ReadRange } from '../checkpoint/index.js';
import type { LinearSpec } from '../model/index.js';
import { canRoundRows, type RoundedRows, type RowRounder, type Scheme } from '../quantization/index.js';
import { readAhead, type SpareMemory } from '../threads/index.js';

export interface StripOptions {
  readonly rounder: RowRounder;
  /** Whether the sums of a diff are wanted, of as many chunks as lie whole in a strip. */
  readonly summed: boolean;
}

/**
 * A linear's weight rounded to nearest, in strips of rows one after the other, of which a few more than the rounder has threads are
 * under way; undefined for a scheme, a stored type or a layout that `roundRows` does not take.
 */
export function roundedStrips(
  checkpoint: Checkpoint,
  { weight, rows, columns, layout }: LinearSpec,
  scheme: Scheme,
  { rounder, summed }: StripOptions,
): AsyncIterable<RoundedRows> | undefined {
  const { dtype: from, byteLength } = checkpoint.tensors.get(checkpoint.aliases.get(weight) ?? weight)!;
  if (layout === 'in-out' || !canRoundRows(scheme, from)) return undefined;
  const rowBytes = byteLength / rows;
  const step = Math.max(1, Math.floor(rounder.memory.bytes / rowBytes));
  const strips = function* () {
    for (let row = 0; row < rows; row += step) {
      const range = { offset: row * rowBytes, length: Math.min(step, rows - row) * rowBytes };
      const walked = summed && { summed: { first: row * columns, elements: rows * columns } };
      yield async () => {
        const bytes = await readOwn(checkpoint, weight, range, rounder.memory);
        const strip = await rounder.round({ bytes, from, columns, scheme, ...walked });
        rounder.memory.give(strip.buffer);
        return strip;
      };
    }
  };
  return readAhead(strips(), rounder.parallel + 1);
}

/** The bytes in a piece of spare memory or, where they do not fit into one or the checkpoint makes them itself, in a buffer of their own. */
async function readOwn(
  checkpoint: Checkpoint,
  name: string,
  range: ReadRange,
  memory: SpareMemory,
): Promise<Uint8Array> {
  const into = range.length <= memory.bytes ? memory.take() : undefined;
  const bytes = await checkpoint.read(name, { ...range, ...(into && { into }) });
  if (into !== undefined && bytes.buffer !== into.buffer) memory.give(into.buffer);
  return bytes.buffer === into?.buffer || bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice();
}
