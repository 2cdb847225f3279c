/** Draws that depend on nothing but the seed: the same program writes the same text and the same weights everywhere. */
export interface Random {
  /** Uniform in [0, 1), 32 bits of it. */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number;
  pick<T>(choices: readonly T[]): T;
  /** `count` different elements in random order. */
  sample<T>(choices: readonly T[], count: number): T[];
  /** True with this probability. */
  chance(probability: number): boolean;
  /** Standard normal. */
  normal(): number;
}

/** A generator for `seed`, an unsigned 32-bit integer. Source: Steele et al. 2014 (SplitMix), the 32-bit variant "mulberry32". */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  return {
    next,
    integer,
    pick: (choices) => choices[integer(0, choices.length - 1)]!,
    sample(choices, count) {
      const rest = [...choices];
      // Fisher and Yates, stopped when enough are drawn.
      for (let i = 0; i < count; i += 1) {
        const j = integer(i, rest.length - 1);
        [rest[i], rest[j]] = [rest[j]!, rest[i]!];
      }
      return rest.slice(0, count);
    },
    chance: (probability) => next() < probability,
    // Box and Muller; 1 − next() is never 0.
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  };
}
