import type { GgufMetadata, GgufValue } from '../checkpoint/gguf/value.js';
import { BirdboneError } from '../errors.js';

/** Where a writer had no id, llama.cpp's tools have left this one. */
const NO_ID = 2 ** 32 - 1;

/**
 * What a GGUF's metadata says, by key, checked as it is asked for: a value of another type or out of range throws `unreadable`
 * with the key; a key that is absent is undefined.
 */
export class MetadataReader {
  readonly metadata: GgufMetadata;
  readonly file: string;

  constructor(metadata: GgufMetadata, file: string) {
    this.metadata = metadata;
    this.file = file;
  }

  /** A whole number of 0 … `max`, whatever integer type it is stored as. */
  integer(key: string, max = 2 ** 31 - 1): number | undefined {
    const value = this.metadata.get(key);
    return value === undefined ? undefined : this.#integer(key, value, max);
  }

  /** As `integer`, where a file may also give one number for each block: they must all be the same. */
  sameForAllBlocks(key: string): number | undefined {
    const value = this.metadata.get(key);
    if (value?.type !== 'array') return this.integer(key);
    if (value.of === 'array' || value.of === 'string' || value.of === 'bool') throw this.wrong(key, 'must be integers');
    const all = new Set(Array.from(value.values as ArrayLike<number | bigint>, Number));
    const [only] = all;
    if (all.size !== 1 || only === undefined) {
      const found = `differs from block to block (${[...all].slice(0, 5).join(', ')})`;
      throw this.unsupported(key, `${found}; one number for all is supported`);
    }
    return this.#integer(key, { type: 'f64', value: only }, 2 ** 31 - 1);
  }

  /** One whole number for each of `blocks` blocks, where a file may also give one for all. */
  forEachBlock(key: string, blocks: number): readonly number[] | undefined {
    const value = this.metadata.get(key);
    if (value?.type !== 'array') {
      const all = this.integer(key);
      return all === undefined ? undefined : Array.from({ length: blocks }, () => all);
    }
    const values = this.numbers(key)!;
    if (values.length !== blocks) throw this.wrong(key, `has ${values.length} entries for ${blocks} blocks`);
    return Array.from(values, (number) => this.#integer(key, { type: 'f64', value: number }, 2 ** 31 - 1));
  }

  /** A token's id; the value that stands for none is none. */
  tokenId(key: string): number | undefined {
    const id = this.integer(key, NO_ID);
    return id === NO_ID ? undefined : id;
  }

  /** A number as the shortest decimal that is the stored float: 1e-5, where a float32 holds 0.00000999999974737875. */
  decimal(key: string): number | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (value.type !== 'f32' && value.type !== 'f64') return this.integer(key);
    if (!Number.isFinite(value.value)) throw this.wrong(key, `is ${value.value}; it must be a finite number`);
    return value.type === 'f32' ? shortestDecimal(value.value) : value.value;
  }

  text(key: string): string | undefined {
    const value = this.metadata.get(key);
    if (value === undefined || value.type === 'string') return value?.value;
    throw this.wrong(key, `is ${value.type}; it must be a string`);
  }

  flag(key: string): boolean | undefined {
    const value = this.metadata.get(key);
    if (value === undefined || value.type === 'bool') return value?.value;
    throw this.wrong(key, `is ${value.type}; it must be a bool`);
  }

  texts(key: string): readonly string[] | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (value.type === 'array' && value.of === 'string') return value.values;
    throw this.wrong(key, `is ${typeName(value)}; it must be an array of strings`);
  }

  numbers(key: string): ArrayLike<number> | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (value.type === 'array' && isNumeric(value.of)) return value.values as ArrayLike<number>;
    throw this.wrong(key, `is ${typeName(value)}; it must be an array of numbers`);
  }

  flags(key: string): ArrayLike<boolean> | undefined {
    const value = this.metadata.get(key);
    if (value === undefined) return undefined;
    if (value.type === 'array' && value.of === 'bool') return value.values;
    throw this.wrong(key, `is ${typeName(value)}; it must be an array of bools`);
  }

  /** A value that is given. Throws `unreadable` when it is not. */
  required<T>(key: string, value: T | undefined): T {
    if (value === undefined) throw this.wrong(key, 'is missing');
    return value;
  }

  wrong(key: string, problem: string): BirdboneError {
    return new BirdboneError('unreadable', `Cannot use ${this.file}: its metadata ${key} ${problem}.`, {
      file: this.file,
    });
  }

  unsupported(key: string, problem: string): BirdboneError {
    return new BirdboneError('unsupported', `${this.file}: its metadata ${key} ${problem}.`, { file: this.file });
  }

  #integer(key: string, stored: GgufValue, max: number): number {
    const value =
      stored.type === 'array' || stored.type === 'string' || stored.type === 'bool' ? undefined : stored.value;
    const number = Number(value);
    if (value !== undefined && Number.isSafeInteger(number) && number >= 0 && number <= max) return number;
    throw this.wrong(key, `is ${value ?? typeName(stored)}; it must be an integer from 0 to ${max}`);
  }
}

function typeName(value: GgufValue): string {
  return value.type === 'array' ? `an array of ${value.of}` : value.type;
}

function isNumeric(type: string): boolean {
  return !['string', 'bool', 'array', 'u64', 'i64'].includes(type);
}

/** The decimal with the fewest digits that rounds to a finite float32. */
export function shortestDecimal(float32: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(float32.toPrecision(digits));
    if (Math.fround(decimal) === float32) return decimal;
  }
  // Nine digits tell all float32 values apart.
  return Number(float32.toPrecision(9));
}
