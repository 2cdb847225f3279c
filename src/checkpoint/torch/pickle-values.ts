/**
 * What a pickle's opcodes can put together: plain data. A tuple is an array; Python's None is null; an integer is a number
 * or, where that would not be exact, a bigint. Nothing here has a method of the file's choosing, and nothing of the file's
 * becomes the key of an object.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly PickleValue[]
  | PickleFloat
  | PickleList
  | PickleDict
  | PickleSet
  | Made;

/** Apart from integers, because no size, offset or count may be one. */
export class PickleFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export class PickleList {
  readonly items: PickleValue[] = [];
}

export class PickleDict {
  #entries: Map<PickleValue, PickleValue> | undefined;

  /** Made when it is needed: each tensor comes with an empty dict, and an empty map takes 200 bytes. */
  get entries(): Map<PickleValue, PickleValue> {
    this.#entries ??= new Map();
    return this.#entries;
  }

  get size(): number {
    return this.#entries?.size ?? 0;
  }
}

export class PickleSet {
  readonly items: PickleValue[] = [];
}

/** What a runtime makes of a global, a call or a persistent id. `what` describes it in messages. */
export abstract class Made {
  abstract readonly what: string;
}

/** A value as a message names it: "a list", "torch.FloatStorage". */
export function describeValue(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (value instanceof Made) return value.what;
  const [, name] = KINDS.find(([is]) => is(value)) ?? [undefined, 'a number'];
  return name;
}

const KINDS: readonly (readonly [(value: PickleValue) => boolean, string])[] = [
  [(value) => typeof value === 'string', 'a text'],
  [(value) => typeof value === 'boolean', 'a truth value'],
  [(value) => value instanceof Uint8Array, 'bytes'],
  [(value) => Array.isArray(value), 'a tuple'],
  [(value) => value instanceof PickleList, 'a list'],
  [(value) => value instanceof PickleDict, 'a dict'],
  [(value) => value instanceof PickleSet, 'a set'],
  [(value) => value instanceof PickleFloat, 'a float'],
];
