import { escaped, type JsonObject } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';

/** The largest group that is believed: wider than any matrix of today's models, and far from what overflows. */
const MAX_GROUP_SIZE = 2 ** 24;
const MAX_SHOWN = 80;

/** Fields of a `quantization_config`, or of a part of it, with errors that name the file and the field. */
export class ConfigFields {
  readonly file: string;
  readonly #where: string;
  readonly #values: JsonObject;

  constructor(file: string, where: string, values: unknown) {
    this.file = file;
    this.#where = where;
    if (typeof values !== 'object' || values === null || Array.isArray(values)) {
      throw new BirdboneError('unreadable', `${file} has ${where} = ${shown(values)}; it must be an object.`, { file });
    }
    this.#values = values as JsonObject;
  }

  get keys(): string[] {
    return Object.keys(this.#values);
  }

  /** The value as it stands; null counts as absent. */
  value(key: string): unknown {
    return Object.hasOwn(this.#values, key) ? (this.#values[key] ?? undefined) : undefined;
  }

  /** An object of fields; undefined where there is none. Throws `unreadable` for anything else. */
  fields(key: string): ConfigFields | undefined {
    const value = this.value(key);
    return value === undefined ? undefined : new ConfigFields(this.file, `${this.#where}.${key}`, value);
  }

  /** One of these values, or `absent` where there is none. Throws `unsupported` for another. */
  oneOf<Value extends string | number | boolean>(key: string, allowed: readonly Value[], absent?: Value): Value {
    const value = this.value(key) ?? absent;
    const found = allowed.find((candidate) => candidate === lower(value));
    if (found !== undefined) return found;
    throw this.wrong(key, `these are read: ${allowed.join(', ')}`);
  }

  /** A group size; undefined for −1, which is one scale a row. */
  groupSize(key: string): number | undefined {
    const value = this.value(key) ?? -1;
    if (value === -1) return undefined;
    if (Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= MAX_GROUP_SIZE) {
      return value as number;
    }
    throw this.wrong(key, 'it must be -1 or a whole number of inputs');
  }

  /** Texts. Throws `unreadable` for anything else. */
  texts(key: string): readonly string[] {
    const value = this.value(key) ?? [];
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value as string[];
    throw this.wrong(key, 'it must be a list of texts');
  }

  /** An error about one field's value. */
  wrong(key: string, allowed: string): BirdboneError {
    const value = shown(this.value(key));
    return new BirdboneError('unsupported', `${this.file} has ${this.#where}.${escaped(key)} = ${value}; ${allowed}.`, {
      file: this.file,
      suggestions: ['Take the model that this one was made from, and quantize it here.'],
    });
  }
}

function lower(value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() : value;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return escaped(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}
