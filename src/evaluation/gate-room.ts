import { GATE_METRICS } from './gate-metrics.js';

/** A term of a gate as a verdict or a journal has it. */
export interface MeasuredTerm {
  readonly metric: string;
  readonly value: number;
  readonly limit: number;
  readonly interval?: readonly [number, number];
}

/**
 * The part of a gate's room that a candidate takes: 0 is the dense model or better, 1 the limit, and more is beyond it; of several
 * terms the largest. Under `confident` the worse end of an interval counts, as for the verdict. Undefined without terms, for a
 * metric that no gate has, and for what is not a number.
 *
 * @example
 * roomUsed([{ metric: 'perplexity', value: 1.02, limit: 1.1 }], { confident: false }); // 0.2
 */
export function roomUsed(
  terms: readonly MeasuredTerm[],
  { confident }: { readonly confident: boolean },
): number | undefined {
  const parts = terms.map((term) => partOf(term, confident));
  if (parts.length === 0 || parts.some((part) => Number.isNaN(part))) return undefined;
  return Math.max(0, ...parts);
}

function partOf({ metric, value, limit, interval }: MeasuredTerm, confident: boolean): number {
  const row = Object.hasOwn(GATE_METRICS, metric) ? GATE_METRICS[metric] : undefined;
  if (row === undefined) return Number.NaN;
  const worse = interval === undefined ? value : interval[row.better === 'lower' ? 1 : 0];
  const counted = confident ? worse : value;
  // A journal in JSON has null for what is no number.
  if (!Number.isFinite(counted)) return Number.NaN;
  const sign = row.better === 'lower' ? 1 : -1;
  const room = sign * (limit - row.dense);
  const lost = sign * (counted - row.dense);
  // A gate that asks for more than the dense model has no room: nothing, or all of it and more, is taken.
  if (room <= 0) return lost <= room ? 0 : Number.POSITIVE_INFINITY;
  return lost / room;
}
