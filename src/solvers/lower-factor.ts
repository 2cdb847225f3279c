import { type DampingOptions, factorDamped, type Gram, keptFactor, workingCopy } from './damping.js';
import type { Reals } from './panel.js';

/**
 * L with L Lᵀ = G + dI [columns, columns], zeros above its diagonal: in double precision where the matrix is small. Damping and
 * throws as `factorDamped`; undefined when no damping helps. The Gram matrix is not modified.
 */
export async function lowerFactor(gram: Gram, options: DampingOptions): Promise<Reals | undefined> {
  const { columns: size } = gram;
  const values = workingCopy(gram.values, size, options);
  const damped = await factorDamped(values, size, options);
  if (damped === undefined) return undefined;
  for (let row = 0; row < size; row += 1) values.fill(0, row * size + row + 1, (row + 1) * size);
  return keptFactor(values, size);
}
