import { quoted, readFloats, unreadable } from '../checkpoint/index.js';
import { expectPart, FLOAT_DTYPES } from './check-part.js';
import type { CodedWeight, Coding } from './coding.js';
import { addProduct } from './product.js';

/**
 * A weight stored as a pair of factors: `<weight>` is the output factor U [rows, rank] and `<weight>_right` is V [rank, columns];
 * the weight is U·V.
 */
const factors: Coding = {
  kind: 'factors',
  parts: ({ weight }) => [rightName(weight)],
  check(source, coded) {
    const { weight, record } = coded;
    const { rows, columns, correction } = record;
    const shape = source.tensors.get(weight)?.shape ?? [];
    const rank = shape[1] ?? 0;
    if (correction !== undefined) {
      throw unreadable(source.path, `${quoted(weight)} is a pair of factors, which has no correction besides`, {
        tensor: weight,
      });
    }
    expectPart(source, { name: weight, dtypes: FLOAT_DTYPES, shape: [rows, rank] });
    expectPart(source, { name: rightName(weight), dtypes: FLOAT_DTYPES, shape: [rank, columns] });
  },
  async decodeRows(source, { weight, record: { columns } }: CodedWeight, first, count) {
    const left = await readFloats(source, weight, { start: first, count });
    const right = await readFloats(source, rightName(weight));
    const values = new Float32Array(count * columns);
    addProduct(values, { left, right, rank: right.length / columns, columns });
    return values;
  },
};

export default factors;

function rightName(weight: string): string {
  return `${weight}_right`;
}
