/** What sending gradients back through a model takes besides running it, block by block: for plans. */
export interface GradientCost {
  /** Windows that go back through a block together at most; absent: as many as go forward. */
  readonly windows?: number;
  /** Numbers that are collected of each weight inside the blocks, on the host. */
  readonly kinds: number;
  /** Of what learns. */
  readonly training?: {
    /** Host memory of what is learnt, and of what its optimizer keeps. */
    readonly learntBytes: number;
  };
}
