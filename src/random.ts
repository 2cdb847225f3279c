/** A seeded stream of random numbers: the same seed gives the same numbers on every machine. */
export interface Random {
  /** The next 32 bits as an integer from 0 to 2³² − 1. */
  bits(): number;
  /** An integer from 0 to `bound` − 1, each as likely as the others; `bound` at most 2³². */
  below(bound: number): number;
}

const WORDS = 2 ** 32;

/**
 * Returns xoshiro128** 1.1 with its state filled by SplitMix64 from the seed, as its authors advise.
 * Sources: Blackman & Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021; Steele, Lea & Flood 2014.
 */
export function seededRandom(seed: number): Random {
  const first = splitMix64(BigInt(seed), 1n);
  const second = splitMix64(BigInt(seed), 2n);
  return xoshiro128([low(first), high(first), low(second), high(second)]);
}

/** xoshiro128** from this state, of which at least one word is not 0. */
export function xoshiro128([s0, s1, s2, s3]: readonly [number, number, number, number]): Random {
  const bits = () => {
    const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9) >>> 0;
    const t = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = rotate(s3, 11);
    return result;
  };
  return {
    bits,
    below(bound) {
      // The last, incomplete run of `bound` numbers would make the small ones likelier: draw again.
      const whole = WORDS - (WORDS % bound);
      let drawn = bits();
      while (drawn >= whole) drawn = bits();
      return drawn % bound;
    },
  };
}

function rotate(word: number, count: number): number {
  return (word << count) | (word >>> (32 - count));
}

/** Output number `index` (from 1) of SplitMix64 seeded with `seed`. */
export function splitMix64(seed: bigint, index: bigint): bigint {
  let z = BigInt.asUintN(64, seed + index * 0x9e37_79b9_7f4a_7c15n);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
  return z ^ (z >> 31n);
}

function low(word: bigint): number {
  return Number(BigInt.asUintN(32, word));
}

function high(word: bigint): number {
  return Number(word >> 32n);
}
