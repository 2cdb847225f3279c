import type { Damage, HealingTask, MatrixDamage } from './types.js';

/**
 * The matrices in the order in which healing them gains most for what it costs; those that nothing is wrong with are left out. Errors
 * of different matrices add up as squares, so what a matrix has of the damage is its part of the squares at the model's output; what
 * it costs is its part of the parameters, which time and memory of training go by. Equal priorities go by place in the model. Pure.
 */
export function healingQueue({ matrices }: Pick<Damage, 'matrices'>): HealingTask[] {
  const squares = matrices.reduce((sum, { atOutput }) => sum + atOutput ** 2, 0);
  const parameters = matrices.reduce((sum, matrix) => sum + costOf(matrix), 0);
  const tasks = matrices.flatMap((matrix) => {
    const share = squares === 0 ? 0 : matrix.atOutput ** 2 / squares;
    const costShare = costOf(matrix) / parameters;
    return share > 0 ? [{ matrix, share, costShare, priority: share / costShare }] : [];
  });
  tasks.sort((left, right) => right.priority - left.priority);
  let [cumulativeShare, cumulativeCost] = [0, 0];
  return tasks.map(({ matrix, share, costShare, priority }, index) => {
    cumulativeShare += share;
    cumulativeCost += costShare;
    const { block, weight, role, severity } = matrix;
    return {
      rank: index + 1,
      block,
      weight,
      role,
      severity,
      share,
      costShare,
      priority,
      cumulativeShare,
      cumulativeCost,
    };
  });
}

function costOf({ rows, columns }: MatrixDamage): number {
  return rows * columns;
}
