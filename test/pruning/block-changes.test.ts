import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LinearSpec } from '../../src/model/index.js';
import { BlockChanges } from '../../src/pruning/block-changes.js';
import { isKept, maskFrom } from '../../src/sparsity/index.js';
import { decodeToF32 } from '../../src/tensor/index.js';

const BYTES = { F32: 4, F16: 2, BF16: 2 } as const;

function linear(rows: number, columns: number, layout?: 'in-out'): LinearSpec {
  return { role: 'o', input: 'attention-out', weight: 'w', rows, columns, ...(layout && { layout }) };
}

describe('BlockChanges', () => {
  it('rounds values to the stored type, where a zero stays a zero and a place is the same in either layout', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('F32' as const, 'F16' as const, 'BF16' as const),
        fc.constantFrom(undefined, 'in-out' as const),
        fc.array(fc.oneof(fc.constant(0), fc.float({ min: -1000, max: 1000, noNaN: true })), {
          minLength: 6,
          maxLength: 6,
        }),
        async (dtype, layout, list) => {
          const written = new Map<string, Uint8Array>();
          const writer = {
            writeMask: () => Promise.reject(new Error('no mask')),
            writeValues: async (name: string, offset: number, bytes: Uint8Array) => {
              expect(offset).toBe(0);
              written.set(name, bytes);
            },
          };
          const changes = new BlockChanges(writer);
          const shape = layout === undefined ? [2, 3] : [3, 2];
          const info = { name: 'w', dtype, shape, byteLength: 6 * BYTES[dtype] };
          await changes.writeValues(linear(2, 3, layout), Float32Array.from(list), info);
          const stored = decodeToF32(written.get('w')!, dtype);
          for (const [i, value] of Float32Array.from(list).entries()) {
            const found = stored[layout === undefined ? i : (i % 3) * 2 + Math.floor(i / 3)]!;
            if (value === 0) expect(Math.abs(found)).toBe(0);
            // Half of the last place of a BF16; below the smallest numbers of a type the step is absolute.
            else expect(Math.abs(found - value)).toBeLessThanOrEqual(Math.max(Math.abs(value) / 256, 2 ** -25));
          }
          expect(changes.layer().values.get('w')).toEqual(info);
          expect(await changes.layer().readValues('w', { offset: 0, length: info.byteLength })).toEqual(
            written.get('w'),
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  it('turns the bits of a mask over a weight that is stored transposed', async () => {
    const bits: Uint8Array[] = [];
    const writer = {
      writeMask: async (_: string, mask: Uint8Array) => void bits.push(mask),
      writeValues: () => Promise.reject(new Error('no values')),
    };
    const mask = maskFrom([1, 0, 1, 0, 0, 1], 2, 3);
    await new BlockChanges(writer).writeMask(linear(2, 3, 'in-out'), mask);
    const stored = { rows: 3, columns: 2, bits: bits[0]! };
    for (const row of [0, 1]) {
      for (const column of [0, 1, 2]) expect(isKept(stored, column, row)).toBe(isKept(mask, row, column));
    }
  });
});
