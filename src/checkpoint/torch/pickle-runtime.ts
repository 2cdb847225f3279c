import type { Made, PickleValue } from './pickle-values.js';

/** Where in a pickle something is asked for. */
export interface PicklePlace {
  readonly opcode: string;
  /** Of the opcode, in its file or in its member of an archive. */
  readonly position: number;
  /** Takes bytes off the pickle's memory budget; to be called before a call's result is made, when that can be large. */
  readonly charge: (bytes: number) => void;
}

/**
 * Decides what the opcodes that reach outside a pickle give: names of Python objects, calls, attributes, persistent ids and
 * what is outside the file altogether. Each returns data, or throws.
 */
export interface PickleRuntime {
  global(module: string, name: string, at: PicklePlace): PickleValue;
  /** `keywords` come with NEWOBJ_EX alone. */
  call(callee: PickleValue, args: readonly PickleValue[], at: PicklePlace, keywords?: PickleValue): PickleValue;
  /** Gives an object attributes; what it returns takes the object's place on the stack. */
  build(object: PickleValue, state: PickleValue, at: PicklePlace): PickleValue;
  /** Items are added to an object that is no list, dict or set of the machine's own. */
  extend(object: Made, at: PicklePlace): void;
  persistent(id: PickleValue, at: PicklePlace): PickleValue;
  /** EXT1, EXT2 and EXT4 name a global by its number in a registry, NEXT_BUFFER takes bytes that were sent apart. */
  outside(what: string, at: PicklePlace): PickleValue;
}
