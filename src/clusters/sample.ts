import type { Random } from '../random.js';

/** `size` different numbers below `count`, ascending: one draw in every stretch of equal length. */
export function drawn(count: number, size: number, random: Random): Int32Array {
  const stretch = count / size;
  return Int32Array.from({ length: size }, (_, i) => {
    const start = Math.floor(i * stretch);
    return start + random.below(Math.floor((i + 1) * stretch) - start);
  });
}
