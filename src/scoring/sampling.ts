/** 1/φ: its multiples modulo 1 spread more evenly than any others', and keep no time with a matrix's columns. */
const STEP = (Math.sqrt(5) - 1) / 2;

/** Up to `wanted` different positions below `size`, spread evenly over them, the same each time; all of them when there are no more. */
export function samplePositions(size: number, wanted: number): Uint32Array {
  if (size <= wanted) return Uint32Array.from({ length: size }, (_, i) => i);
  const positions = new Set<number>();
  for (let i = 0; i < wanted; i++) positions.add(Math.floor(((i * STEP) % 1) * size));
  return Uint32Array.from(positions);
}

/** The values at these positions. */
export function valuesAt(values: Float32Array, positions: Uint32Array): number[] {
  return Array.from(positions, (position) => values[position]!);
}
