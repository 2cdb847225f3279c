import type { EditContext } from './edit.js';
import { passWanda } from './wanda-pass.js';

/** Of each block, the share of its weights whose Wanda score is above `multiple` times the mean score of the block. */
export async function outlierShares(multiple: number, context: EditContext): Promise<readonly number[]> {
  const shares: number[] = [];
  await passWanda(context, async ({ linears, score }) => {
    let total = 0;
    let elements = 0;
    for (const spec of linears) {
      const { values } = await score(spec);
      for (const value of values) total += value;
      elements += values.length;
    }
    const threshold = (multiple * total) / elements;
    let outliers = 0;
    // Scored once more rather than kept: a block's scores take as much as its weights.
    for (const spec of linears) for (const value of (await score(spec)).values) if (value > threshold) outliers += 1;
    shares.push(elements === 0 ? 0 : outliers / elements);
  });
  return shares;
}
