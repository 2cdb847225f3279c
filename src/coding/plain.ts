import { readFloats } from '../checkpoint/index.js';
import { isBlockDtype } from '../tensor/index.js';
import { expectPart, FLOAT_DTYPES } from './check-part.js';
import type { Coding } from './coding.js';

/**
 * A weight stored in a type that stands for itself, ggml's blocks included, under its own name: a record says so where a low-rank
 * correction goes with it.
 */
const plain: Coding = {
  kind: 'plain',
  parts: () => [],
  check(source, { weight, record: { rows, columns } }) {
    const dtype = source.tensors.get(weight)?.dtype;
    const dtypes = dtype !== undefined && isBlockDtype(dtype) ? [dtype] : FLOAT_DTYPES;
    expectPart(source, { name: weight, dtypes, shape: [rows, columns] });
  },
  decodeRows: (source, { weight }, first, count) => readFloats(source, weight, { start: first, count }),
};

export default plain;
