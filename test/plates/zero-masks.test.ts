import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Marks, plateGraph, removedSlices, zeroMasks } from '../../src/plates/index.js';
import { llamaDecoder } from './tiny-decoders.js';

const graph = plateGraph(
  llamaDecoder({ blocks: 2, hidden: 5, heads: 4, kvHeads: 2, headDim: 3, ffn: 7, vocabulary: 9, tied: true }),
);
const everyPlate = graph.kinds.flatMap((kind) => [...graph.plates(kind)]);

describe('the masks of marks', () => {
  test('zero exactly the elements in some slice of some plate', () => {
    fc.assert(
      fc.property(fc.subarray(everyPlate), (plates) => {
        const masks = zeroMasks(graph, Marks.of(plates));
        const slices = plates.flatMap((plate) => graph.slices(plate));
        expect(new Set(masks.keys())).toEqual(new Set(slices.map(({ tensor }) => tensor)));
        for (const [tensor, bits] of masks) {
          const [rows, columns = 1] = graph.shapes.get(tensor)! as [number, number?];
          const own = slices.filter((slice) => slice.tensor === tensor);
          expect(bits.length).toBe(Math.ceil((rows * columns) / 8));
          for (let i = 0; i < bits.length * 8; i += 1) {
            const place = [Math.floor(i / columns), i % columns];
            const zeroed = own.some(({ axis, start, count }) => place[axis]! >= start && place[axis]! < start + count);
            const kept = i < rows * columns && !zeroed;
            expect((bits[i >> 3]! >> (i & 7)) & 1, `${tensor} ${place}`).toBe(kept ? 1 : 0);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a tied table loses a hidden dimension once', () => {
    const removed = removedSlices(graph, Marks.of([graph.plate('hidden:4'), graph.plate('vocabulary:2')]));
    expect(removed.get('embedding')).toEqual({
      tensor: 'embedding',
      shape: [9, 5],
      removed: [[{ start: 2, count: 1 }], [{ start: 4, count: 1 }]],
    });
    expect(removed.has('head')).toBe(false);
  });
});
