import type { LayerPlan, LayerWriter } from '../checkpoint/index.js';
import type { KnownDifferences } from '../differences/index.js';
import type { Report } from '../events.js';
import type { Model } from '../model/index.js';
import type { Marks } from '../plates/index.js';
import type { Device } from '../tensor/index.js';
import type { EditCost } from './solver-cost.js';

/** What an edit works with. `model` is the base under the layers kept so far; it is never changed. */
export interface EditContext {
  readonly model: Model;
  /** The base under no layers; `model` itself unless given. */
  readonly dense?: Model;
  /** Of whatever is drawn by chance; 0 unless given. */
  readonly seed?: number;
  readonly device: Device;
  /** The sparsity to reach over all weights that the edit may change. */
  readonly target: number;
  /** Calibration windows; empty when the edit said that it needs none. */
  readonly calibration: readonly { readonly ids: Int32Array }[];
  /** The windows or documents that the gate is measured on, where there are any: what an edit must not take from them. */
  readonly evaluation?: readonly { readonly ids: Int32Array }[];
  /** Plates that the waves kept so far have shed: zero in `model`. */
  readonly marks: Marks;
  /** Plates that this wave must not shed: an earlier one did, and they were found to do the damage. */
  readonly spared: Marks;
  readonly writer: LayerWriter;
  readonly memoryBytes: number;
  readonly spillFolder: string;
  /** Where hours of work keep what they have come to, so that a run that is killed goes on from there. Absent: nowhere. */
  readonly progress?: { readonly file: string; readonly isThere: boolean };
  /**
   * Takes a decision that the recipe leaves open and a clock makes, once: it is in the journal when this returns, and a run that goes
   * on is given the same. Absent: it is made anew each time.
   */
  readonly decide?: Decide;
  /** What the edits of the run's waves so far have said of them, kept or not, in their order: what may be learnt from. */
  readonly earlier?: readonly ProposalDetails[];
  /** Whether the result will be compared with `model`: what an edit sums of the differences on its way is not read again for it. */
  readonly compared?: boolean;
  readonly report: Report;
  readonly signal?: AbortSignal;
}

/** By its name, a decision that was taken before, or what `make` comes to: plain JSON. */
export type Decide = <Value extends object>(name: string, make: () => Promise<Value>) => Promise<Value>;

/** What an edit may look at before it says what its layer will hold. */
export type SettleContext = Omit<EditContext, 'writer'>;

/** What an edit says of the layer that it has written. */
export interface Proposal {
  /** ALL plates that this wave newly sheds; none where it removes weights without regard to plates. */
  readonly marks?: Marks;
  /**
   * Why the wave's target cannot be reached, as the rest of a sentence: what may go is at its end. The wave is not kept, and a smaller
   * step is tried. Everything that was planned is written all the same.
   */
  readonly limit?: string;
  /** What else a report on the result has to say of this wave: plain JSON, kept in the journal and the manifest. */
  readonly details?: ProposalDetails;
  /**
   * What an edit that stores weights in another form has removed of them on the way, of every weight that it could remove from: the
   * form may have no zeros to count.
   */
  readonly removed?: readonly RemovedFrom[];
  /** Where the result is compared: the sums of a diff between weights as they were and as they are now shown, of such as are known. */
  readonly differences?: KnownDifferences;
}

/** How much of one tensor is removed. */
export interface RemovedFrom {
  readonly name: string;
  readonly elements: number;
  readonly removed: number;
}

/** By what it is about: `quantized` holds a row for each matrix. */
export type ProposalDetails = Readonly<Record<string, readonly object[]>>;

/**
 * One kind of change to a model, proposed as a layer over it. Pruning is the first; quantization, low rank and healing are
 * others, and the wave engine does not know which one it drives.
 */
export interface Edit {
  readonly needsCalibration: boolean;
  /** The sparsity that the whole step is to reach; of a step that goes by something else, how much of it, and 1 is all. */
  readonly target: number;
  /** That `target` is no sparsity: waves of other steps count nothing towards it, nor its waves towards theirs. */
  readonly goesBy?: 'itself';
  /**
   * `final`: the edit is given the model as the marks of the waves before it have cut it, and its layer lies over that; no edit of
   * the base's shapes comes after it. Absent: the base's shapes, at which shed plates are zero.
   */
  readonly shapes?: 'final';
  /** It gives back what others took: zeros stay zeros, and a wave is kept only if it brings the model nearer to the dense one. */
  readonly heals?: true;
  /** Proposed over this edit's layer before the wave is examined; both together are one wave, and one layer. */
  readonly followedBy?: Edit;
  /**
   * Looks at a model before any work: throws what will keep the edit, or the loading of its result, from working, and returns what
   * a user should know of it, a sentence each. Absent: any model will do.
   */
  check?(model: Model): Promise<readonly string[]>;
  /** What decides which weights go, by name: a metric, or the solver that chooses by its own criterion. Absent for other edits. */
  readonly rankedBy?: string;
  /** It compares weights within rows alone, so that nothing of a matrix's size need be made on the host: for plans. */
  readonly ranksWithinRows?: true;
  /** What a wave costs besides running text through the blocks, where that counts: for plans. */
  cost?(model: Model, calibrationTokens: number): EditCost;
  /**
   * The edit with everything decided that its plan depends on and that only model and text show, such as the ranks that a budget
   * buys. Called before each wave; its own `plan` is then an upper bound. Absent: shapes alone decide. Deterministic.
   */
  settle?(context: SettleContext): Promise<Edit>;
  /** Which masks and replacements the layer will hold: everything but the values. */
  plan(model: Model): LayerPlan;
  /** Writes every mask and replacement of its plan, and says which plates they shed, if any. Deterministic. */
  // biome-ignore lint/suspicious/noConfusingVoidType: an edit without plates has nothing to return.
  propose(context: EditContext): Promise<Proposal | void>;
}
