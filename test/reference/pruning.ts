import type { LinearInputs } from './forward.js';
import type { LinearName, Weight } from './load.js';

/** What is compared, by the name that the table gives it, and what the product is asked for. */
export const METHODS = {
  magnitude: { metric: 'magnitude', solver: 'none' },
  wanda: { metric: 'wanda', solver: 'none' },
  'wanda + refit': { metric: 'wanda', solver: 'refit' },
  sparsegpt: { metric: undefined, solver: 'sparsegpt' },
  'sparsegpt + refit': { metric: undefined, solver: 'sparsegpt-refit' },
  alps: { metric: undefined, solver: 'alps' },
} as const;
export type Method = keyof typeof METHODS;

/** What the reference has an implementation of. */
const IN_REFERENCE: readonly string[] = [
  'magnitude',
  'wanda',
  'wanda + refit',
  'sparsegpt',
  'sparsegpt + refit',
  'alps',
];

/** Whether the reference can make this row; the dense model is one. */
export function hasReference(method: Method | undefined): boolean {
  return method === undefined || IN_REFERENCE.includes(method);
}

/** Which of the four inputs each linear reads. */
export const INPUT_OF: Record<LinearName, keyof LinearInputs> = {
  q: 'attention',
  k: 'attention',
  v: 'attention',
  o: 'output',
  gate: 'ffn',
  up: 'ffn',
  down: 'down',
};

/** |W| (Han et al. 2015), or |W_ij| · ‖X_j‖₂ (Sun et al. 2023); `squares` are the Σ X_j² per input. */
export function importance(weight: Weight, method: 'magnitude' | 'wanda', squares: Float64Array): Float64Array {
  return weight.values.map((value, i) =>
    method === 'magnitude' ? Math.abs(value) : Math.abs(value) * Math.sqrt(squares[i % weight.columns]!),
  );
}

/**
 * 1 = stays. "50%" ranks within the whole matrix for magnitude and within each output row for Wanda, as published;
 * "2:4" within every 4 consecutive inputs. Among equal scores the lower index goes first.
 */
export function keepMask(
  scores: Float64Array,
  weight: Weight,
  method: 'magnitude' | 'wanda',
  pattern: string,
): Uint8Array {
  const keep = new Uint8Array(scores.length).fill(1);
  const percent = /^(\d+)%$/.exec(pattern);
  if (percent !== null) {
    const group = method === 'magnitude' ? scores.length : weight.columns;
    const removed = Math.floor((group * Number(percent[1])) / 100);
    for (let start = 0; start < scores.length; start += group) removeLowest(scores, keep, start, { group, removed });
    return keep;
  }
  const [n, m] = pattern.split(':').map(Number) as [number, number];
  for (let start = 0; start < scores.length; ) {
    const group = Math.min(m, weight.columns - (start % weight.columns));
    removeLowest(scores, keep, start, { group, removed: Math.max(0, group - n) });
    start += group;
  }
  return keep;
}

function removeLowest(
  scores: Float64Array,
  keep: Uint8Array,
  start: number,
  { group, removed }: { group: number; removed: number },
): void {
  const order = Uint32Array.from({ length: group }, (_, i) => start + i).sort(
    (a, b) => scores[a]! - scores[b]! || a - b,
  );
  for (const index of order.subarray(0, removed)) keep[index] = 0;
}
