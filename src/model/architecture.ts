/**
 * What one `model_type` of config.json means, as data: how its tensors are called and which of the optional parts of the
 * Llama block it has. `{i}` in a template stands for the block's index.
 *
 * @example
 * const names = architecture.weights;
 * weightName(names.q, 3); // "model.layers.3.self_attn.q_proj"
 */
export interface Architecture {
  /** `model_type`, also the registry name. */
  readonly modelType: string;
  /** The class that `architectures` in config.json must name, when it names one. */
  readonly className: string;
  readonly weights: WeightTemplates;
  /** Stored names that may be left out because they are the same tensor when `tie_word_embeddings` is set. */
  readonly ties: readonly (readonly [string, string])[];
  /** Buffers that old exporters wrote and nothing reads: the rotary frequencies follow from the config. */
  readonly leftovers: readonly RegExp[];
  /** Optional parts that config.json may switch on; a switch that is on and not listed is refused. */
  readonly options: {
    readonly attentionBias: boolean;
    readonly mlpBias: boolean;
    readonly slidingWindow: boolean;
  };
  /** What the architecture's configuration class in transformers assumes for a key that config.json leaves out. */
  readonly defaults: {
    readonly max_position_embeddings: number;
    readonly rms_norm_eps: number;
    readonly rope_theta: number;
    readonly sliding_window: number | null;
    /** null: as many as there are query heads. */
    readonly num_key_value_heads: number | null;
  };
}

/** Linear templates are without their `.weight` or `.bias` ending; the others are whole tensor names. */
export interface WeightTemplates {
  readonly embedding: string;
  readonly head: string;
  readonly finalNorm: string;
  readonly attentionNorm: string;
  readonly ffnNorm: string;
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly o: string;
  readonly gate: string;
  readonly up: string;
  readonly down: string;
}

/** The template with `{i}` filled in. */
export function weightName(template: string, block: number): string {
  return template.replace('{i}', String(block));
}
