import type { Checkpoint } from '../checkpoint/checkpoint.js';

/**
 * Where a linear weight's input comes from; linears with the same input share one set of calibration statistics. Each expert has
 * inputs of its own: the tokens that the router sends to it.
 */
export type LinearInput =
  | 'attention-norm'
  | 'attention-out'
  | 'ffn-norm'
  | 'ffn-inner'
  | `ffn-norm-${number}`
  | `ffn-inner-${number}`
  | 'unknown';

/** What a linear makes. `qkv` and `gate-up` are several in one weight (`segments`); an FFN without a gate has `up` and `down`.
 * `weight`: a matrix of which nothing more is known (`Decoder.refusal`). */
export type LinearRole = 'q' | 'k' | 'v' | 'qkv' | 'o' | 'router' | 'gate' | 'up' | 'gate-up' | 'down' | 'weight';

/** Consecutive rows of a fused weight that make one thing. */
export interface LinearSegment {
  readonly role: 'q' | 'k' | 'v' | 'gate' | 'up';
  readonly start: number;
  readonly rows: number;
}

export interface LinearSpec {
  readonly role: LinearRole;
  readonly input: LinearInput;
  /** Stored tensor name; its shape is [rows, columns] = [out, in], or [columns, rows] where `layout` says so. */
  readonly weight: string;
  readonly bias?: string;
  readonly rows: number;
  readonly columns: number;
  /** `in-out`: stored transposed (GPT-2's Conv1D). Absent: `out-in`. */
  readonly layout?: 'in-out';
  /** Whose weight it is, in a block whose FFN is a choice of experts. */
  readonly expert?: number;
  /** Of a fused weight, in row order, together all its rows; a role's segments in order are that role's rows. */
  readonly segments?: readonly LinearSegment[];
}

/** Norms and their biases: `attention-norm` is before attention, `post-attention-norm` on its result before it is added. */
export type VectorKind =
  | 'attention-norm'
  | 'attention-norm-bias'
  | 'post-attention-norm'
  | 'q-norm'
  | 'k-norm'
  | 'ffn-norm'
  | 'ffn-norm-bias'
  | 'post-ffn-norm';

/** A vector of a block that is not a linear's bias; its length is the hidden size or that of one head. */
export interface VectorSpec {
  readonly kind: VectorKind;
  readonly tensor: string;
  readonly axis: 'hidden' | 'head-dim';
}

/** How a block turns queries and keys; the first `dimensions` of each head are turned, the rest stays. */
export interface Rope {
  readonly theta: number;
  readonly scaling: RopeScaling;
  readonly dimensions: number;
}

export interface Experts {
  readonly count: number;
  /** How many of them each token goes through. */
  readonly perToken: number;
}

/** The sizes of one block and what it does; blocks of one model may differ. */
export interface BlockShape {
  /** false: the block has no attention (and no norm before it), what comes in goes on as it is. */
  readonly attention: boolean;
  /** false: the block has no FFN. */
  readonly feedForward: boolean;
  /** 0 without attention. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Inner width of the FFN, or of one expert; 0 without an FFN. */
  readonly ffn: number;
  /** Tokens a query may look back including itself. */
  readonly slidingWindow?: number;
  /** Absent in models with learned positions. */
  readonly rope?: Rope;
  /** What query · key is multiplied by in this block, where that is not the decoder's `attentionScale`. */
  readonly attentionScale?: number;
  readonly experts?: Experts;
}

export interface BlockSpec extends BlockShape {
  readonly index: number;
  /** In the order of a forward pass: q, k, v (or qkv), o, router, then gate, up (or gate-up), down, expert by expert. */
  readonly linears: readonly LinearSpec[];
  /** Everything else of the block that is coupled to a width. */
  readonly vectors: readonly VectorSpec[];
}

export type RopeScaling =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    }
  | {
      readonly kind: 'longrope';
      /** What each pair's frequency is divided by, for texts up to `originalContext` and for longer ones. */
      readonly shortFactors: readonly number[];
      readonly longFactors: readonly number[];
      readonly originalContext: number;
      /** Cosines and sines are multiplied by it. */
      readonly amplitude: number;
    };

/** `rms-plus-one`: RMSNorm whose stored gain w stands for 1 + w (Gemma). `layer`: LayerNorm, with a bias where it is stored. */
export type NormKind = 'rms' | 'rms-plus-one' | 'layer';
export type Activation = 'silu' | 'gelu' | 'gelu-tanh';

/** Everything the forward pass needs to know of a decoder-only transformer, read from config.json and checked. */
export interface Decoder {
  /** Registry name of the architecture: "llama", "mistral"; "unknown" where there is a `refusal`. */
  readonly architecture: string;
  /**
   * Why the model cannot be run, of one that `openPrunable` opened for its weights alone: its sizes are 0, and its blocks list
   * matrices.
   */
  readonly refusal?: string;
  readonly hidden: number;
  /** heads, kvHeads, headDim and ffn are the largest of any block; each block has its own. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly vocabulary: number;
  /** max_position_embeddings. */
  readonly maxContext: number;
  readonly norm: NormKind;
  readonly normEpsilon: number;
  readonly activation: Activation;
  /** Attention and FFN both read the block's input, and both are added to it (GPT-NeoX). */
  readonly parallelResidual: boolean;
  /** Of the blocks that attend to everything; each block has its own `rope`. */
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** Tokens a query may look back including itself, when some block slides a window. */
  readonly slidingWindow?: number;
  /** What the embedding's rows are multiplied by; absent: 1. */
  readonly embeddingScale?: number;
  /** What query · key is multiplied by; absent: 1 / √headDim. */
  readonly attentionScale?: number;
  /** Scores s become cap · tanh(s / cap), before the mask. */
  readonly attentionSoftcap?: number;
  /** The same for the logits. */
  readonly finalSoftcap?: number;
  readonly bosTokenId?: number;
  readonly eosTokenIds: readonly number[];
  readonly blocks: readonly BlockSpec[];
  readonly embedding: string;
  /** Stored name of the learned positions [maxContext, hidden], which are added to the embeddings. */
  readonly positions?: string;
  readonly finalNorm: string;
  readonly finalNormBias?: string;
  /** Stored name of the output head; the embedding's own when tied. */
  readonly head: string;
  readonly tied: boolean;
}

/** A checkpoint that is understood: weights and what they mean. An overlay over `checkpoint` keeps the same decoder. */
export interface Model {
  readonly checkpoint: Checkpoint;
  readonly decoder: Decoder;
  /** Of each block, in a model that is run with a cache of FP8 for its keys and values; absent: they stay as they are. */
  readonly keyValueScales?: readonly KeyValueScales[];
}

/** What a block's keys and values are divided by before they are rounded to E4M3. */
export interface KeyValueScales {
  readonly key: number;
  readonly value: number;
}
