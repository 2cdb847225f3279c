import { quoted } from '../files/quote.js';
import type { RunningPickle } from './pickle-steps.js';
import {
  describeValue,
  Made,
  PickleDict,
  PickleFloat,
  PickleList,
  PickleSet,
  type PickleValue,
} from './pickle-values.js';

/** Estimates of what values take in V8's memory; the bound on a pickle's memory is in these. */
export const BOX_BYTES = 32;
const TUPLE_BYTES = 48;
export const CONTAINER_BYTES = 120;
export const DICT_ENTRY_BYTES = 48;
export const SLOT_BYTES = 8;

/** Pushes a tuple, which is charged for. */
export function pushTuple({ stack }: RunningPickle, items: readonly PickleValue[]): void {
  stack.charge(TUPLE_BYTES + SLOT_BYTES * items.length);
  stack.push(items);
}

/** Pushes an empty container, which is charged for. */
export function pushNew({ stack }: RunningPickle, container: PickleList | PickleDict | PickleSet): void {
  stack.charge(CONTAINER_BYTES);
  stack.push(container);
}

/** Adds to the list or set, which is what the opcode needs. */
export function addItems<Kind extends typeof PickleList | typeof PickleSet>(
  pickle: RunningPickle,
  Kind: Kind,
  { to, items }: { readonly to: PickleValue; readonly items: readonly PickleValue[] },
): void {
  pickle.stack.charge(SLOT_BYTES * items.length);
  if (to instanceof Made) {
    pickle.runtime.extend(to, pickle.place);
    return;
  }
  if (!(to instanceof Kind)) pickle.fail(`it adds to ${describeValue(to)}, which is not ${describeValue(new Kind())}`);
  for (const item of items) (to as PickleList | PickleSet).items.push(item);
}

/** Sets keys of the dict. A key may come once: readers differ over the second. */
export function addEntries(pickle: RunningPickle, dict: PickleValue, items: readonly PickleValue[]): void {
  if (items.length % 2 !== 0) pickle.fail('it sets a key without a value');
  pickle.stack.charge((DICT_ENTRY_BYTES * items.length) / 2);
  if (dict instanceof Made) {
    pickle.runtime.extend(dict, pickle.place);
    return;
  }
  if (!(dict instanceof PickleDict)) pickle.fail(`it sets items of ${describeValue(dict)}, which is no dict`);
  for (let i = 0; i < items.length; i += 2) {
    const key = items[i]!;
    if (key instanceof PickleList || key instanceof PickleDict || key instanceof PickleSet) {
      pickle.fail(`${describeValue(key)} cannot be the key of a dict`);
    }
    const known = key instanceof PickleFloat ? key.value : key;
    if (dict.entries.has(known)) {
      pickle.fail(`a dict has the key ${typeof known === 'string' ? quoted(known) : describeValue(known)} twice`);
    }
    dict.entries.set(known, items[i + 1]!);
  }
}
