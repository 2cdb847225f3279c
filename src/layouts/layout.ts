import type { Checkpoint, JsonObject } from '../checkpoint/index.js';
import type { CodedView, CodingRecord } from '../coding/index.js';
import type { Decoder, Model } from '../model/index.js';

/** What an engine is asked to do with the result, as far as it restricts what may be written. */
export interface LayoutLimits {
  /** GPUs over which each matrix is divided; 1 unless given. */
  readonly tensorParallel?: number;
}

/** The scales of one block's keys and values in an FP8 cache. */
export interface KvScales {
  readonly k: number;
  readonly v: number;
}

/** How GPTQ was run, for the fields of its config that say so. */
export interface GptqRun {
  readonly dampPercent: number;
  readonly staticGroups: boolean;
  readonly trueSequential: boolean;
}

/** What calibration found beside the weights. */
export interface LayoutExtras {
  /** Of every block that has attention, by the block's number: the layout says that the cache is FP8. */
  readonly kvScales?: ReadonlyMap<number, KvScales>;
  /** By weight, for schemes whose activations have one scale that was measured before. */
  readonly inputScales?: ReadonlyMap<string, number>;
  readonly gptq?: GptqRun;
}

/** A way in which an engine's files keep quantized matrices. */
export interface Layout {
  readonly name: string;
  /**
   * Throws `unsupported`, with the name of the rule and of the tensor, for a model that the layout cannot say or whose engine would
   * refuse it. Reads no weights.
   */
  check(model: { readonly decoder: Decoder }, coded: ReadonlyMap<string, CodingRecord>, limits?: LayoutLimits): void;
  /**
   * The model in the engine's tensors, with the config.json that says so among its companions. Tensors are computed while they are
   * read, a strip of at most 32 MiB at a time; those that are not coded are as they were. `config` is the model's config.json.
   * Throws what `check` throws. Closing it closes the view.
   */
  write(view: CodedView, model: Pick<Model, 'decoder'>, config: JsonObject, extras?: LayoutExtras): Promise<Checkpoint>;
}

/** A checkpoint in an engine's layout, seen in the native form. */
export interface QuantizedCheckpoint extends Checkpoint {
  /** The layout's name, as config.json spells it. */
  readonly layout: string;
  /** What its files say beside the weights. */
  readonly extras: LayoutExtras;
}
