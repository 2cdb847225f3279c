import type { Choice } from '../../quantization/index.js';

/**
 * For each group the place of the form that it gets where all are to be alike: the most bits of a weight that fit the budget everywhere,
 * and where a group has no form of so many, its next smaller one. `weights` are the groups' numbers of weights. undefined where even
 * the smallest take more.
 */
export function uniformChoices(
  items: readonly (readonly Choice[])[],
  weights: readonly number[],
  budgetBytes: number,
): number[] | undefined {
  const bitsOf = (choice: Choice, group: number) => (8 * choice.bytes) / weights[group]!;
  const levels = items.flatMap((choices, group) => choices.map((choice) => bitsOf(choice, group)));
  const placesAt = (level: number) =>
    items.map((choices, group) => {
      const bits = choices.map((choice) => bitsOf(choice, group));
      const fitting = bits.filter((own) => own <= level + 1e-9);
      return bits.indexOf(fitting.length === 0 ? Math.min(...bits) : Math.max(...fitting));
    });
  const total = (places: readonly number[]) =>
    places.reduce((sum, place, group) => sum + items[group]![place]!.bytes, 0);
  return [...new Set(levels)]
    .sort((left, right) => right - left)
    .map(placesAt)
    .find((places) => total(places) <= budgetBytes);
}
