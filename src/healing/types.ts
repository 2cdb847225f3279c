import type { Report } from '../events.js';
import type { LinearSpec, Model } from '../model/index.js';
import type { Device } from '../tensor/index.js';

/** How weights are given back what compression took from them. Everything in it decides bytes; none of it is read from a clock. */
export interface HealSettings {
  /** `distill`: end to end, by the loss behind the head; `reconstruct`: block by block, each block's output against the dense block's. */
  readonly method: 'distill' | 'reconstruct';
  /** Rank of each adapter, or `full`: the weights themselves are trained. A matrix that is smaller gets what it can have. */
  readonly rank: number | 'full';
  /** ΔW = (alpha / rank) B A. Without effect on `full`. */
  readonly alpha: number;
  /**
   * What is learnt, for each linear that is: a factor on the learning rate, 1 for the full one. A linear that is not named stays as it is,
   * to the bit.
   */
  readonly intensity: ReadonlyMap<string, number>;
  /** Part of the loss that is KL(teacher ‖ student); the rest is next-token cross-entropy. Without a teacher it is 0. */
  readonly klShare: number;
  readonly learningRate: number;
  /** Fraction of the steps over which the rate rises from 0; after them it falls along a cosine. */
  readonly warmUp: number;
  /** Gradients are scaled down to this norm over all that is learnt. */
  readonly clipNorm: number;
  readonly weightDecay: number;
  /** Windows whose gradients one step adds up. */
  readonly batchWindows: number;
  /** Steps of the whole training; the rate's curve ends there. */
  readonly steps: number;
  /** Whether a weight that is 0 stays so, to the bit: true for all but adapters that are added to codes. */
  readonly masked: boolean;
  /** How the frozen weights are held while it trains: as they are stored, or as NF4 with scales that are quantized again (QLoRA). */
  readonly frozen: 'stored' | 'nf4';
  readonly seed: number;
}

/** One trained or remembered array, row-major. */
export interface StateArray {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/**
 * All that training needs to go on bit for bit, and nothing else: what it draws by chance it draws anew from seed and step. Batch number
 * `step + skipped` of the text comes next.
 */
export interface TrainState {
  /** Steps done. */
  readonly step: number;
  /** Batches of the text that were passed over because the loss rose on them. */
  readonly skipped: number;
  /** Factor on the learning rate: 1, halved by each spike. */
  readonly rateScale: number;
  /** What is learnt and its moments, by name. */
  readonly arrays: ReadonlyMap<string, StateArray>;
}

/** What one step was, once it is done. */
export interface TrainStep {
  /** Steps done, this one among them. */
  readonly step: number;
  /** Of the batch before the step changed anything. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** The state after this step, copied to the host; to be called before the next step is asked for. */
  snapshot(): Promise<TrainState>;
}

/** Tokens in a row to learn from. */
export interface TrainWindow {
  readonly ids: Int32Array;
}

export interface TrainWork {
  /** The model that is healed; it is never changed. Its weights are dense, or read as such. */
  readonly student: Model;
  /** What it was before: the same blocks and widths where the method reconstructs, the same vocabulary in any case. */
  readonly teacher: Model | undefined;
  readonly windows: readonly TrainWindow[];
  readonly settings: HealSettings;
  /** Where to go on; from the beginning without it. */
  readonly from?: TrainState;
}

export interface TrainContext {
  readonly device: Device;
  /** What blocks and hidden states together may take while it trains; the rest is loaded again, or spilled to `spillFolder`. */
  readonly memoryBytes: number;
  readonly spillFolder: string;
  readonly report: Report;
  readonly signal?: AbortSignal;
}

/** The factors of one adapter as they are learnt: the weight becomes W + B A, scale and all. */
export interface LearntFactors {
  readonly rank: number;
  /** B, [rows, rank], with alpha / rank in it. */
  readonly left: Float32Array;
  /** A, [rank, columns]. */
  readonly right: Float32Array;
}

/**
 * The training core. Whoever drives it decides about spikes: it takes a snapshot now and then, and when the loss jumps, begins `train`
 * again from the last good one with `skipped` raised and `rateScale` halved.
 *
 * @example
 * for await (const done of trainer.train({ student, teacher, windows, settings }, context)) {
 *   if (done.step % 50 === 0) await save(await done.snapshot());
 * }
 */
export interface Trainer {
  /** Steps one by one, `settings.steps` of them less those that `from` has done. The same work gives the same steps, bit for bit. */
  train(work: TrainWork, context: TrainContext): AsyncGenerator<TrainStep, void, undefined>;
  /**
   * The new values of a linear, [rows, columns]: M ⊙ (W + ΔW) where `masked`, M being where W is not 0. `weight` is W as the model reads
   * it, and is left as it is.
   */
  merge(spec: LinearSpec, weight: Float32Array, state: TrainState, settings: HealSettings): Float32Array;
  /** What was learnt of a linear as an adapter; undefined for one that is not learnt, or where the rank is `full`. */
  factors(spec: LinearSpec, state: TrainState, settings: HealSettings): LearntFactors | undefined;
}
