/**
 * Divides a budget evenly over parties of which each can take so much: who has less than the even share gives it all, and the rest is
 * divided evenly among the others (max-min fairness). The shares sum up to the budget, or to all that there is.
 *
 * @example
 * fairShares([10, 100, 100], 120); // [10, 55, 55]
 */
export function fairShares(available: readonly number[], budget: number): number[] {
  const shares = available.map(() => 0);
  const ascending = available.map((amount, index) => ({ amount, index })).sort((a, b) => a.amount - b.amount);
  let left = budget;
  for (const [place, { amount, index }] of ascending.entries()) {
    const share = Math.min(amount, left / (ascending.length - place));
    shares[index] = share;
    left -= share;
  }
  return shares;
}
