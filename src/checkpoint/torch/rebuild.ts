import { describeValue, PickleDict, type PickleValue } from './pickle-values.js';
import { type Complaints, Storage, TensorView, TorchDtype } from './torch-values.js';

/** Arguments that a function of torch takes: at least the first of the counts, at most the second. */
type Counts = readonly [least: number, most: number];

/**
 * The tensor that `torch._utils._rebuild_tensor` and its successors describe. v2 added whether it needs a gradient, hooks
 * and metadata; v3 added its element type. Whether it lies within its storage is checked once its name is known.
 * Source: torch/_utils.py.
 */
export function rebuildTensor(version: 1 | 2 | 3) {
  const counts: Counts = version === 1 ? [4, 4] : version === 2 ? [6, 7] : [7, 8];
  return (args: readonly PickleValue[], complain: Complaints): TensorView => {
    checkCount(args, counts, complain);
    const [storage, offset, shape, strides, gradient, hooks] = args;
    if (!(storage instanceof Storage)) {
      return complain.fail(`it makes a tensor of ${describeValue(storage)}, where a storage must be`);
    }
    if (version > 1) refuseExtras({ gradient, hooks, metadata: args[version === 2 ? 6 : 7] }, complain);
    return new TensorView(storage, dtypeOf(storage, version === 3 ? args[6] : undefined, complain), {
      offset: integer(offset, 'offset', complain),
      shape: integers(shape, 'shape', complain),
      strides: integers(strides, 'strides', complain),
    });
  };
}

/** The tensor that a parameter is made of: `(data, requires_grad, hooks[, state])`, or `(data[, requires_grad])`. */
export function rebuildParameter(...counts: Counts) {
  return (args: readonly PickleValue[], complain: Complaints): TensorView => {
    checkCount(args, counts, complain);
    const [data, gradient, hooks, state] = args;
    if (!(data instanceof TensorView)) {
      return complain.fail(`it makes a parameter of ${describeValue(data)}, where a tensor must be`);
    }
    refuseExtras({ gradient, hooks, metadata: state }, complain);
    return data;
  };
}

function checkCount(args: readonly PickleValue[], [least, most]: Counts, complain: Complaints): void {
  if (args.length >= least && args.length <= most) return;
  complain.fail(`it makes a tensor of ${args.length} values; ${least} to ${most} are allowed`);
}

/** Hooks are code, and metadata changes what the bytes mean (conjugated, negated); neither is ever in weights. */
function refuseExtras(
  extras: Readonly<Record<'gradient' | 'hooks' | 'metadata', PickleValue | undefined>>,
  { fail, refuse }: Complaints,
): void {
  const { gradient, hooks, metadata } = extras;
  if (gradient !== undefined && typeof gradient !== 'boolean') {
    fail(`whether a tensor needs a gradient is ${describeValue(gradient)}, where a truth value must be`);
  }
  for (const [what, extra] of Object.entries({ hooks, metadata })) {
    const isEmpty = extra === undefined || extra === null || (extra instanceof PickleDict && extra.size === 0);
    if (!isEmpty) refuse(`it makes a tensor with ${what}, which weights do not have`);
  }
}

function dtypeOf(storage: Storage, named: PickleValue | undefined, { fail }: Complaints) {
  const dtype = named === undefined ? storage.type.dtype : named instanceof TorchDtype ? named.dtype : undefined;
  return dtype ?? fail(`it makes a tensor without an element type, of ${storage.type.what}`);
}

/** The most dimensions that torch has. */
const MAX_DIMENSIONS = 64;

function integers(value: PickleValue | undefined, what: string, complain: Complaints): readonly number[] {
  if (!Array.isArray(value)) return complain.fail(`a tensor's ${what} is ${describeValue(value)}, not a tuple`);
  if (value.length > MAX_DIMENSIONS) complain.fail(`a tensor's ${what} has ${value.length} dimensions`);
  return value.map((item: PickleValue) => integer(item, what, complain));
}

/** From 0 to 2^53 − 1. A negative stride would read before the storage's first byte. */
function integer(value: PickleValue | undefined, what: string, { fail }: Complaints): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  return fail(`a tensor's ${what} has ${isNumber ? value : describeValue(value)}; whole numbers from 0 on are allowed`);
}
