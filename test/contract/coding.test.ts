import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/checkpoint/index.js';
import { codings, decodedView } from '../../src/coding/index.js';
import { BirdboneError } from '../../src/errors.js';
import { type MemoryTensor, memoryCheckpoint } from '../fixtures/memory-checkpoint.js';

const part: fc.Arbitrary<MemoryTensor> = fc
  .record({
    dtype: fc.constantFrom('U8' as const, 'F32' as const, 'F16' as const),
    rows: fc.integer({ min: 0, max: 4 }),
    columns: fc.integer({ min: 0, max: 8 }),
  })
  .map(({ dtype, rows, columns }) => {
    const bytes = rows * columns * { U8: 1, F16: 2, F32: 4 }[dtype];
    return { dtype, shape: [rows, columns], bytes: new Uint8Array(bytes) };
  });

describe.each([...codings.names])('the coding %s', (kind) => {
  it('is called what the registry calls it', async () => {
    const coding = await codings.load(kind);
    expect(coding.kind).toBe(kind);
  });

  it('refuses what is not its own with a typed error, whatever a record and its parts say', {
    timeout: 60_000,
  }, async () => {
    const extent = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constantFrom(2 ** 31, 2 ** 40, 0, -1, 1.5));
    const fields = fc.dictionary(
      fc.constantFrom(
        'bits',
        'format',
        'symmetric',
        'strategy',
        'groupSize',
        'scale',
        'zeroPoint',
        'correction',
        'layout',
        'double',
      ),
      fc.oneof(
        fc.jsonValue({ maxDepth: 1 }),
        fc.integer({ min: -1, max: 300 }),
        fc.constantFrom('int', 'F16', 'group', 'channel'),
      ),
    );
    const parts = fc.dictionary(fc.constantFrom('_scale', '_zero_point', '_left', '_right', '_codebook'), part);
    await fc.assert(
      fc.asyncProperty(extent, extent, fields, part, parts, async (rows, columns, rest, weight, others) => {
        const record = new Uint8Array(Buffer.from(canonicalJson({ ...rest, kind, rows, columns })));
        const named = Object.fromEntries(Object.entries(others).map(([suffix, tensor]) => [`w${suffix}`, tensor]));
        const coded: MemoryTensor = { dtype: 'U8', shape: [record.length], bytes: record };
        const raw = memoryCheckpoint({ w: weight, ...named, w_coding: coded });
        try {
          const view = await decodedView(raw);
          // What is let through is what the record says it is, in whole float32 values.
          const { byteLength } = view.tensors.get('w')!;
          expect(byteLength).toBe(4 * rows * columns);
          expect((await view.read('w')).length).toBe(byteLength);
        } catch (error) {
          if (!(error instanceof BirdboneError)) throw error;
          expect(['unreadable', 'unsupported']).toContain(error.code);
        }
      }),
      { numRuns: 150 },
    );
  });
});
