import { seededRandom } from '../random.js';

/** `count` normally distributed numbers that a seed decides, the same on every machine up to the last bits of its logarithm. */
export function gaussians(count: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  // Never 0, whose logarithm is none.
  const uniform = () => (random.bits() + 0.5) / 2 ** 32;
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}
