import type { Report } from '../events.js';
import type { CastView } from '../translation/index.js';
import type { Conversion } from './conversion.js';

export interface Watch {
  readonly report: Report;
  readonly signal: AbortSignal | undefined;
}

/** A conversion that has found everything wrong that can be found before weights are read. */
export interface Prepared {
  readonly to: Conversion['to'];
  /** The tensors as they are written, cast as they are read. */
  readonly view: CastView;
  /** The element type that each had in the file. */
  readonly storedDtype: (name: string) => Conversion['tensors'][number]['from'];
  readonly lost: readonly string[];
  readonly tokenizer?: Conversion['tokenizer'];
  /** Makes the output appear whole, or not at all. */
  write(watch: Watch): Promise<void>;
}
