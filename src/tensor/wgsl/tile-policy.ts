import type { TilePolicy } from './kernel.js';

/** Takes each kernel's first candidate, whatever the machine: the choice of who wants one that no measurement decides. */
export const firstTile: TilePolicy = { choose: (_kernel, _shape, candidates) => candidates[0]! };
