/** How far some outputs are from the dense model's on the same tokens, Y' against Y [tokens, width]. */
export interface Drift {
  /** ‖Y' − Y‖_F / ‖Y‖_F; 1 where Y is zero and Y' is not. */
  readonly relativeError: number;
  /** ⟨Y', Y⟩ / (‖Y'‖ ‖Y‖) over all values; null where either is zero. */
  readonly cosine: number | null;
  /**
   * Linear centred kernel alignment over a sample of tokens, by the unbiased estimator, 1 for outputs that agree but for rotation and
   * scale; null where it is not defined (fewer than 4 tokens, constant outputs).
   */
  readonly cka: number | null;
}

/** Classes of damage, by what of the model's output error comes from there; docs/damage.md says why these limits. */
export const DAMAGE_SEVERITIES = ['none', 'slight', 'moderate', 'severe', 'critical'] as const;
export type DamageSeverity = (typeof DAMAGE_SEVERITIES)[number];

/** One block of the compressed model beside the dense one. */
export interface BlockDamage {
  readonly block: number;
  /** Of its output, each model fed by its own blocks before. */
  readonly total: Drift;
  /** Of its output when both are fed what the dense model feeds it: what this block does wrong by itself. */
  readonly own: Drift;
  /** ‖B'(x') − B'(x)‖ / ‖B(x)‖: what of its output's error it has from the blocks before. */
  readonly inherited: number;
  /**
   * Part of ‖total‖² that is its own, the other part being inherited: ⟨e, own⟩ / ⟨e, e⟩ of the error e = own + inherited. Below 0
   * or above 1 where one part undoes the other.
   */
  readonly ownShare: number;
  /** What a unit of error that comes in goes out as, ‖B'(x') − B'(x)‖ / ‖x' − x‖; null where none comes in. */
  readonly transmission: number | null;
  /** Own error as it arrives at the model's output, as part of ‖h_L‖: own error × the transmissions of the blocks behind. */
  readonly atOutput: number;
  readonly severity: DamageSeverity;
}

/** One matrix of a block. */
export interface MatrixDamage {
  readonly block: number;
  /** Stored name. */
  readonly weight: string;
  readonly role: string;
  readonly expert?: number;
  readonly rows: number;
  readonly columns: number;
  /** Of its outputs for the dense model's inputs; null where the compressed matrix has another shape. */
  readonly own: Drift | null;
  /** Of its outputs, each model on its own inputs; null for a router's experts, which see other tokens, and for another shape. */
  readonly total: Drift | null;
  /** Error of the block's output with only this matrix compressed, as part of ‖B(x)‖; null for another shape. */
  readonly effect: number | null;
  /** `effect` as it arrives at the model's output; where it is null, the block's by the matrix's part of its weights. */
  readonly atOutput: number;
  readonly severity: DamageSeverity;
}

/** A cluster of output rows of one matrix. */
export interface ClusterDamage {
  readonly block: number;
  readonly weight: string;
  /** Number of the cluster in the matrix; −1: rows of no cluster. */
  readonly cluster: number;
  readonly rows: number;
  readonly own: Drift;
  readonly total: Drift | null;
  /** Part of the matrix' own squared error that is in these rows. */
  readonly share: number;
}

/** Where compression hurt a model. */
export interface Damage {
  readonly passages: number;
  readonly tokens: number;
  readonly blocks: readonly BlockDamage[];
  readonly matrices: readonly MatrixDamage[];
  /** Present where clusters were given. */
  readonly clusters?: readonly ClusterDamage[];
}

/** One entry of the order in which to heal. */
export interface HealingTask {
  /** From 1: the first gains most for what it costs. */
  readonly rank: number;
  readonly block: number;
  readonly weight: string;
  readonly role: string;
  readonly severity: DamageSeverity;
  /** Part of the squared error at the model's output that starts here, of all that starts anywhere. */
  readonly share: number;
  /** Part of the cost (parameters) of all matrices. */
  readonly costShare: number;
  /** share / costShare: 1 is what an average matrix has. */
  readonly priority: number;
  /** Of this entry and all before it. */
  readonly cumulativeShare: number;
  readonly cumulativeCost: number;
}
