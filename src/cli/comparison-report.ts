import { table } from './picture.js';
import { formatPercent } from './quantities.js';

/** What comparing calibration sets looks like to people; every field is also in its JSON. */
export interface ShownSets {
  readonly model: string;
  readonly data: string;
  readonly scheme: string;
  readonly algorithm: string;
  readonly baseline: Readonly<Record<string, number>>;
  readonly sets: readonly { readonly name: string; readonly figures: Readonly<Record<string, number>> }[];
}

/** The sets by what is made with them, the best first, under the model as it is. */
export function renderComparison({ model, data, scheme, algorithm, baseline, sets }: ShownSets): string {
  const header = ['calibrated on', 'KL', '95 % interval', 'perplexity', 'same top token'];
  return [
    `${model} quantized to ${scheme} by ${algorithm}, measured on ${data}`,
    '',
    table([rowOf('(as it is)', baseline), ...sets.map(({ name, figures }) => rowOf(name, figures))], header),
  ].join('\n');
}

function rowOf(name: string, figures: Readonly<Record<string, number>>): string[] {
  const { kl, klLow: low, klHigh: high, perplexity, agreement } = figures;
  return [
    name,
    kl === undefined ? '' : kl.toFixed(5),
    low === undefined || high === undefined ? '' : `${low.toFixed(5)} to ${high.toFixed(5)}`,
    perplexity === undefined ? '' : perplexity.toFixed(3),
    agreement === undefined ? '' : formatPercent(agreement, 2),
  ];
}
