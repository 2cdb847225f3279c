import type { BirdboneError } from '../errors.js';
import type { MetadataReader } from './metadata-reader.js';

/** The metadata that have an architecture's name before them, asked for without it. */
export class OwnMetadata {
  readonly reader: MetadataReader;
  readonly #prefix: string;

  constructor(reader: MetadataReader, architecture: string) {
    this.reader = reader;
    this.#prefix = architecture;
  }

  key(own: string): string {
    return `${this.#prefix}.${own}`;
  }

  integer(own: string): number | undefined {
    return this.reader.integer(this.key(own));
  }

  decimal(own: string): number | undefined {
    return this.reader.decimal(this.key(own));
  }

  text(own: string): string | undefined {
    return this.reader.text(this.key(own));
  }

  flag(own: string): boolean | undefined {
    return this.reader.flag(this.key(own));
  }

  has(own: string): boolean {
    return this.reader.metadata.has(this.key(own));
  }

  /** A value that is given. Throws `unreadable` when it is not. */
  required<T>(own: string, value: T | undefined): T {
    return this.reader.required(this.key(own), value);
  }

  wrong(own: string, problem: string): BirdboneError {
    return this.reader.wrong(this.key(own), problem);
  }

  unsupported(own: string, problem: string): BirdboneError {
    return this.reader.unsupported(this.key(own), problem);
  }
}
