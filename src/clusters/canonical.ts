import { NOISE } from './clustering.js';

/** Returns the same groups numbered 0, 1, … in the order of their first points, and how many there are; noise stays −1. */
export function canonical(assignments: Int32Array): { assignments: Int32Array; k: number } {
  const numbers = new Map<number, number>();
  const renamed = assignments.map((group) => {
    if (group < 0) return NOISE;
    const known = numbers.get(group);
    if (known !== undefined) return known;
    numbers.set(group, numbers.size);
    return numbers.size - 1;
  });
  return { assignments: renamed, k: numbers.size };
}
