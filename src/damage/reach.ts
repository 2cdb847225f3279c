/** What is known of each block's errors, as norms over the same tokens. */
export interface BlockErrors {
  /** ‖B'(x) − B(x)‖. */
  readonly own: number;
  /** ‖x' − x‖ and what it becomes, ‖B'(x') − B'(x)‖. */
  readonly incoming: number;
  readonly inherited: number;
  /** ‖B(x)‖. */
  readonly size: number;
}

/** What a unit of error that comes in goes out as; null where none comes in. */
export function transmissionOf({ incoming, inherited }: BlockErrors): number | null {
  return incoming === 0 ? null : inherited / incoming;
}

/**
 * For each block, what an error at its output of the size of that output is at the output of the last, as part of that: the product of
 * what the blocks behind transmit, and of the sizes. An error that a block makes need not lie where those lie that were seen to be
 * transmitted, so this is an estimate (docs/damage.md says how good).
 */
export function reachOf(blocks: readonly BlockErrors[]): number[] {
  const last = blocks.at(-1)?.size ?? 0;
  const reach: number[] = [];
  let transmitted = 1;
  for (const block of blocks.toReversed()) {
    reach.push(last === 0 ? 0 : (transmitted * block.size) / last);
    transmitted *= transmissionOf(block) ?? 1;
  }
  return reach.reverse();
}
