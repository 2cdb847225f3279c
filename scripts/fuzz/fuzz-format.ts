import type { Random } from './random.js';

/** How the readers ended on one input, in one of the two ways that are allowed. */
export type Verdict = 'opened' | 'refused';

/** One kind of file under test: sound files, ways to break them, and the real reader with what must hold after it. */
export interface FuzzFormat {
  readonly name: string;
  /** Sound files, which `check` must find opened: a harness that refuses everything would find nothing. */
  readonly sound: readonly Uint8Array[];
  /** One mutation, decided by the random numbers alone. */
  mutate(random: Random): Uint8Array;
  /**
   * Runs the readers over the bytes. Whatever it throws is a finding: what the readers threw that is no typed error naming the
   * file, or `BrokenInvariant`.
   */
  check(bytes: Uint8Array): Promise<Verdict>;
}

/** What was opened, or the way it was refused, is not as it must be. */
export class BrokenInvariant extends Error {
  override readonly name = 'BrokenInvariant';
}
