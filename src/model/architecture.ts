import type { ConfigKey, ConfigValues } from './config-schema.js';
import type { BlockShape, Decoder, LinearRole, LinearSegment, LinearSpec, NormKind, VectorSpec } from './decoder.js';
import type { RopeKind } from './rope-config.js';

/**
 * What one `model_type` of config.json means: which keys it reads, how its tensors are called and which parts its blocks have, as
 * data. `{i}` in a name stands for the block's index, `{e}` for the expert's. The functions at the end are for what is truly
 * different; most architectures have none.
 */
export interface Architecture {
  /** `model_type`, also the registry name. */
  readonly modelType: string;
  /** The class that `architectures` in config.json must name, when it names one. */
  readonly className: string;
  /** Keys of config.json that it reads beside those that every architecture has (`COMMON_KEYS`). */
  readonly keys: readonly ConfigKey[];
  /** Where its config.json calls a key differently: the common name → its own. */
  readonly spellings?: Readonly<Partial<Record<ConfigKey, string>>>;
  /** Further keys that leave what the model computes as it is. */
  readonly harmless?: readonly string[];
  /** Further keys that could change it, with the only values under which they do not. */
  readonly allowed?: Readonly<Record<string, readonly unknown[]>>;
  /** What `hidden_act` may be; the first when it is absent. */
  readonly activations: readonly string[];
  /** What its configuration class in transformers assumes for a key that config.json leaves out. */
  readonly defaults: ConfigDefaults;
  readonly norm: NormKind;
  readonly tensors: EndTensors;
  /** In the order of a forward pass. */
  readonly linears: readonly LinearTemplate[];
  readonly vectors: readonly VectorSpec[];
  /** Names may be stored with or without this beginning; the templates have it. */
  readonly optionalPrefix?: string;
  /** Buffers that exporters wrote and nothing reads. */
  readonly leftovers: readonly RegExp[];
  /** Which blocks slide a window, of a model that has one, unless `layer_types` says; absent: none. */
  readonly slides?: (config: ConfigValues, block: number) => boolean;
  /** Whether `layer_types` of config.json decides which blocks slide; otherwise it may only say what is so anyway. */
  readonly readsLayerTypes?: true;
  /** What `rope_type` may be; absent: `default`, `linear` and `llama3`. */
  readonly ropeKinds?: readonly RopeKind[];
  /** The FFN's width where `intermediate_size` is null or absent. */
  readonly ffnWidth?: (config: ConfigValues) => number;
  /** What a block is, given what it would be by the common keys. */
  readonly block?: (config: ConfigValues, block: number, plain: BlockShape, file: string) => BlockShape;
  /** Positions are learned and added to the embeddings; queries and keys are not turned. */
  readonly learnedPositions?: true;
  /** Numbers of the decoder that follow from its own keys. */
  readonly numbers?: (config: ConfigValues) => Partial<DecoderNumbers>;
}

export type DecoderNumbers = Pick<
  Decoder,
  'embeddingScale' | 'attentionScale' | 'attentionSoftcap' | 'finalSoftcap' | 'parallelResidual'
>;

export interface ConfigDefaults extends Partial<ConfigValues> {
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly rope_theta?: number;
}

/** Whole tensor names. */
export interface EndTensors {
  readonly embedding: string;
  readonly positions?: string;
  readonly finalNorm: string;
  readonly finalNormBias?: string;
  readonly head: string;
}

/** A role that an architecture gives. */
export type KnownRole = Exclude<LinearRole, 'weight'>;

/** A linear of every block; its sizes and its input follow from the role. */
export interface LinearTemplate {
  readonly role: KnownRole;
  /** Name without its `.weight` or `.bias` ending; with `{e}` there is one for each expert. */
  readonly name: string;
  /** Whether there is one, or the key of config.json that says. Absent: no. */
  readonly bias?: true | 'attention_bias' | 'mlp_bias';
  readonly layout?: LinearSpec['layout'];
  /** Of a fused weight: how its rows are divided. */
  readonly segments?: (block: BlockShape) => readonly LinearSegment[];
}

/** The template with `{i}` (and `{e}`) filled in. */
export function tensorName(template: string, block: number, expert?: number): string {
  return template.replace('{i}', String(block)).replace('{e}', String(expert));
}
