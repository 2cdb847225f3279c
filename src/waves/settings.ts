import type { Report } from '../events.js';
import type { Recipe } from '../recipe.js';
import type { WaveState } from '../state/index.js';
import type { DeviceChoice } from '../tensor/index.js';

/** A run: the recipe decides the bytes of the result, the rest where things go and who is told. */
export interface RunOptions {
  readonly recipe: Recipe;
  readonly device?: DeviceChoice;
  readonly threads?: number;
  /** Where journal and layers live; `<out>/../.birdbone/<name>` by default. */
  readonly state?: string;
  /** Where the diff is written; `diffs` in the working directory by default. */
  readonly diffs?: string;
  /** Go on with an interrupted run of the same recipe; start one where there is none. */
  readonly resume?: boolean;
  /** Forget what an earlier run under this output name left, and replace its output. */
  readonly restart?: boolean;
  /** Host memory for hidden states before they spill to disk, bytes. */
  readonly memoryBytes?: number;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** One wave as the journal tells it. */
export interface WaveRecord {
  readonly wave: number;
  readonly step: number;
  readonly target: number;
  /** Fraction removed of the weights that may be pruned, measured from the masks. */
  readonly sparsity: number;
  readonly verdict: 'committed' | 'rolled-back';
  readonly reason: string;
  readonly figures: Readonly<Record<string, number>>;
  /** Still part of the published result (not undone by a later `rollback`). */
  readonly active: boolean;
}

/** What a run kept, what it cost, and where the evidence lies. */
export interface RunResult {
  readonly out: string;
  readonly state: string;
  readonly diff: { readonly json: string; readonly markdown: string };
  readonly manifest: string;
  readonly baseline: Readonly<Record<string, number>>;
  readonly result: Readonly<Record<string, number>>;
  readonly waves: readonly WaveRecord[];
  /** Which waves the published model has, tensor by tensor. */
  readonly at: WaveState;
  readonly sparsity: number;
  /** True when every step's target was reached. */
  readonly reached: boolean;
  readonly layers: readonly { readonly name: string; readonly sparsity: number }[];
}
