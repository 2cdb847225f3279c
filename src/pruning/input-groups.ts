import type { LinearInput, LinearSpec } from '../model/index.js';

/** Gram matrices that are collected in one pass through the block take this many times the room of the widest. */
const PASS_GRAMS = 1.5;

/** The linears' inputs in model order, as many at a time as their Gram matrices leave room for. */
export function* inputGroups(linears: readonly LinearSpec[]): Generator<ReadonlySet<LinearInput>> {
  const sizes = new Map(linears.map(({ input, columns }) => [input, columns * columns]));
  const room = PASS_GRAMS * Math.max(...sizes.values());
  let inputs = new Set<LinearInput>();
  let taken = 0;
  for (const [input, size] of sizes) {
    if (inputs.size > 0 && taken + size > room) {
      yield inputs;
      inputs = new Set();
      taken = 0;
    }
    inputs.add(input);
    taken += size;
  }
  if (inputs.size > 0) yield inputs;
}
