import type { Report } from '../events.js';
import type { QualityReport } from '../quality/index.js';
import type { Recipe } from '../recipe.js';
import type { WaveJournalRecord, WaveState } from '../state/index.js';
import type { DeviceChoice } from '../tensor/index.js';
import type { QualityFiles } from './quality.js';
import type { LayerSparsity } from './state-sparsity.js';
import type { TechniqueGain } from './techniques.js';

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

/** What of a wave's record is for everybody: all but how it is stored. `figures` are those of the state after it. */
const SHOWN = [
  'wave',
  'step',
  'target',
  'sparsity',
  'verdict',
  'reason',
  'figures',
  'plates',
  'removed',
  'blocks',
  'effectiveness',
  'foretold',
  'warnings',
  'selective',
  'stopped',
  'shapes',
  'details',
] as const satisfies readonly (keyof WaveJournalRecord)[];

/** One wave as the journal tells it. */
export interface WaveRecord extends Pick<WaveJournalRecord, (typeof SHOWN)[number]> {
  /** Still part of the published result (not undone by a later `rollback`). */
  readonly active: boolean;
}

/** What is shown of a wave, without the fields that it does not have. */
export function waveRecordOf(wave: WaveJournalRecord & { readonly active: boolean }): WaveRecord {
  const shown = SHOWN.filter((field) => wave[field] !== undefined).map((field) => [field, wave[field]]);
  return { ...(Object.fromEntries(shown) as Omit<WaveRecord, 'active'>), active: wave.active };
}

/** What a run kept, what it cost, and where the evidence lies. */
export interface RunResult {
  readonly out: string;
  readonly state: string;
  readonly diff: { readonly json: string; readonly markdown: string };
  readonly manifest: string;
  readonly baseline: Readonly<Record<string, number>>;
  /** The model before the first wave, where it is held against another: the recipe's reference. */
  readonly before?: Readonly<Record<string, number>>;
  readonly result: Readonly<Record<string, number>>;
  readonly waves: readonly WaveRecord[];
  /** Which waves the published model has, tensor by tensor. */
  readonly at: WaveState;
  readonly sparsity: number;
  /** True when every step's target was reached. */
  readonly reached: boolean;
  /** Why the run ended, in words. */
  readonly reason: string;
  readonly layers: readonly LayerSparsity[];
  /** What each step has bought, where there are several. */
  readonly techniques?: readonly TechniqueGain[];
  /** Where matrices are stored in another form than before: what that has come to, and the pages that show it. */
  readonly quality?: { readonly report: QualityReport; readonly files: QualityFiles };
}
