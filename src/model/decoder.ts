import type { Checkpoint } from '../checkpoint/checkpoint.js';

/** Where a linear weight's input comes from; linears with the same input share one set of calibration statistics. */
export type LinearInput = 'attention-norm' | 'attention-out' | 'ffn-norm' | 'ffn-inner';
export type LinearRole = 'q' | 'k' | 'v' | 'o' | 'gate' | 'up' | 'down';

export interface LinearSpec {
  readonly role: LinearRole;
  readonly input: LinearInput;
  /** Stored tensor name, shape [rows, columns] = [out, in]. */
  readonly weight: string;
  readonly bias?: string;
  readonly rows: number;
  readonly columns: number;
}

export interface BlockSpec {
  readonly index: number;
  /** In the order q, k, v, o, gate, up, down. */
  readonly linears: readonly LinearSpec[];
  /** Gain [hidden] of the norm before attention, and before the FFN. */
  readonly attentionNorm: string;
  readonly ffnNorm: string;
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
    };

/** Everything the forward pass needs to know of a decoder-only transformer, read from config.json and checked. */
export interface Decoder {
  /** Registry name of the architecture: "llama", "mistral". */
  readonly architecture: string;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly vocabulary: number;
  /** max_position_embeddings. */
  readonly maxContext: number;
  readonly normEpsilon: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** Tokens a query may look back including itself, when the architecture slides a window. */
  readonly slidingWindow?: number;
  readonly bosTokenId?: number;
  readonly eosTokenIds: readonly number[];
  readonly blocks: readonly BlockSpec[];
  readonly embedding: string;
  readonly finalNorm: string;
  /** Stored name of the output head; the embedding's own when tied. */
  readonly head: string;
  readonly tied: boolean;
}

/** A checkpoint that is understood: weights and what they mean. An overlay over `checkpoint` keeps the same decoder. */
export interface Model {
  readonly checkpoint: Checkpoint;
  readonly decoder: Decoder;
}
