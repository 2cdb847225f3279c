import type { TilePolicy } from './kernel.js';

/** Takes each kernel's first candidate, whatever the machine: the choice of who wants one that no measurement decides. */
export const firstTile: TilePolicy = { choose: (_kernel, _shape, candidates) => candidates[0]! };

/** Takes one tile for everything: for a GPU in software, which pays for every shader that it compiles. */
export function oneTile(name: string): TilePolicy {
  return {
    choose: (_kernel, _shape, candidates) => candidates.find((candidate) => candidate === name) ?? candidates[0]!,
  };
}
