import { quoted } from '../files/quote.js';
import type { RunningPickle } from './pickle-steps.js';
import { describeValue, PickleDict, PickleFloat, PickleList, PickleSet, type PickleValue } from './pickle-values.js';

/** Estimates of what values take in V8's memory; the bound on a pickle's memory is in these. */
export const BOX_BYTES = 32;
export const CONTAINER_BYTES = 80;
export const DICT_ENTRY_BYTES = 48;
export const SLOT_BYTES = 8;

/** Pushes a tuple, which is charged for. */
export function pushTuple({ stack }: RunningPickle, items: readonly PickleValue[]): void {
  stack.charge(BOX_BYTES + SLOT_BYTES * items.length);
  stack.push(items);
}

/** Pushes an empty container, which is charged for. */
export function pushNew({ stack }: RunningPickle, container: PickleList | PickleDict | PickleSet): void {
  stack.charge(CONTAINER_BYTES);
  stack.push(container);
}

/** Adds to the list or set; to the one on top of the stack by default. */
export function addItems(
  pickle: RunningPickle,
  to: PickleList | PickleSet | undefined,
  items: readonly PickleValue[],
): void {
  const list = to ?? pickle.stack.top();
  if (!(list instanceof PickleList || to instanceof PickleSet)) {
    pickle.fail(`it appends to ${describeValue(list as PickleValue)}, which is no list`);
  }
  pickle.stack.charge(SLOT_BYTES * items.length);
  for (const item of items) (list as PickleList).items.push(item);
}

/** Sets keys of the dict, of the one on top of the stack by default. A key may come once: readers differ over the second. */
export function addEntries(pickle: RunningPickle, to: PickleDict | undefined, items: readonly PickleValue[]): void {
  const dict = to ?? pickle.stack.top();
  if (!(dict instanceof PickleDict)) pickle.fail(`it sets items of ${describeValue(dict)}, which is no dict`);
  if (items.length % 2 !== 0) pickle.fail('it sets a key without a value');
  pickle.stack.charge((DICT_ENTRY_BYTES * items.length) / 2);
  for (let i = 0; i < items.length; i += 2) {
    const key = items[i]!;
    if (key instanceof PickleList || key instanceof PickleDict || key instanceof PickleSet) {
      pickle.fail(`${describeValue(key)} cannot be the key of a dict`);
    }
    const known = key instanceof PickleFloat ? key.value : key;
    if (dict.entries.has(known))
      pickle.fail(`a dict has the key ${typeof known === 'string' ? quoted(known) : describeValue(known)} twice`);
    dict.entries.set(known, items[i + 1]!);
  }
}
