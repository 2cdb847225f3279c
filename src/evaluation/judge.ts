import type { Interval } from './bootstrap.js';
import type { Comparison, Figures } from './figures.js';
import { type Gate, inPercent, isOff } from './gate.js';
import { GATE_METRICS, type GateMetric, holds, type Relation } from './gate-metrics.js';

/** One term of a gate and what it was measured at. */
export interface JudgedTerm {
  readonly metric: string;
  readonly relation: Relation;
  readonly limit: number;
  readonly value: number;
  /** 95 %; left out where there is none. */
  readonly interval?: Interval;
  readonly pass: boolean;
  /** The term in words. */
  readonly sentence: string;
}

/** A gate's decision: the audit log's entry. */
export interface Verdict {
  readonly pass: boolean;
  /** The sentences of the terms that decided: those that failed, or all of them. */
  readonly reason: string;
  readonly terms: readonly JudgedTerm[];
}

export interface Evidence {
  readonly base: Figures;
  readonly now: Figures;
  readonly comparison: Comparison;
  /** Whether the whole interval must meet each limit, not only the figure itself. */
  readonly confident: boolean;
}

/**
 * Judges a candidate: it passes when every term holds. A figure that is not finite never passes, and under `confident` neither
 * does one without an interval. A gate that is off passes everything and says so.
 */
export function judge(gate: Gate, evidence: Evidence): Verdict {
  if (isOff(gate)) return { pass: true, reason: 'the gate is off', terms: [] };
  const terms = gate.terms.map((term) => judgeTerm(term, evidence));
  const failed = terms.filter((term) => !term.pass);
  const reason = (failed.length > 0 ? failed : terms).map((term) => term.sentence).join('; ');
  return { pass: failed.length === 0, reason, terms };
}

function judgeTerm(term: Gate['terms'][number], evidence: Evidence): JudgedTerm {
  const metric = GATE_METRICS[term.metric]!;
  const value = evidence.comparison[metric.figure];
  if (value === undefined) throw new Error(`${term.metric} was not measured: it needs the base model's logits`);
  const interval = evidence.comparison.intervals[metric.figure];
  const inside = Number.isFinite(value) && holds(value, term.relation, term.limit);
  const sure = !evidence.confident || isInside(interval, term, metric);
  const judged = { ...term, value, ...(interval && { interval }), pass: inside && sure };
  return { ...judged, sentence: sentenceOf(judged, metric, { inside, evidence }) };
}

function isInside(interval: Interval | undefined, term: Gate['terms'][number], metric: GateMetric): boolean {
  if (interval === undefined) return false;
  return holds(metric.better === 'lower' ? interval[1] : interval[0], term.relation, term.limit);
}

/** What a relation says when it holds and when it does not. */
const SAYS: Readonly<Record<Relation, readonly [holds: string, fails: string]>> = {
  '<': ['is below', 'is not below'],
  '<=': ['is at most', 'is above'],
  '>': ['is above', 'is not above'],
  '>=': ['is at least', 'is below'],
};

function sentenceOf(
  term: Omit<JudgedTerm, 'sentence'>,
  metric: GateMetric,
  { inside, evidence }: { readonly inside: boolean; readonly evidence: Evidence },
): string {
  const { value, limit, interval, pass } = term;
  if (!Number.isFinite(value)) return `${metric.words} is no number (${value}), which no gate passes`;
  const shownLimit = withUnit(metric.unit === '%' ? inPercent(limit) : limit, metric);
  const subject = `${metric.words} ${shown(value, metric, limit)}${detailOf(metric, interval, evidence)}`;
  const says = `${subject} ${SAYS[term.relation][inside ? 0 : 1]} ${shownLimit}`;
  if (pass || !inside) return says;
  return `${says}, but ${interval === undefined ? 'it has no interval, and one is demanded' : 'its interval reaches beyond'}`;
}

function detailOf(metric: GateMetric, interval: Interval | undefined, { base, now }: Evidence): string {
  const details: string[] = [];
  if (metric.of === 'accuracy') details.push(`${percent(base.accuracy)} to ${percent(now.accuracy)}`);
  if (metric.of === 'perplexity') details.push(`${base.perplexity.toFixed(2)} to ${now.perplexity.toFixed(2)}`);
  if (interval) details.push(`95 % interval ${shown(interval[0], metric)} to ${shown(interval[1], metric)}`);
  return details.length === 0 ? '' : ` (${details.join(', ')})`;
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)} %`;
}

/** Three digits (a ratio four), or as many more as it takes to tell the value from a limit that it does not equal. */
function shown(value: number, metric: GateMetric, limit?: number): string {
  const scale = metric.unit === '%' ? 100 : 1;
  for (let digits = metric.unit === 'x' ? 4 : 3; digits < 17; digits++) {
    const rounded = Number((scale * value).toPrecision(digits));
    if (limit === undefined || value === limit || rounded !== Number((scale * limit).toPrecision(15))) {
      return withUnit(rounded, metric);
    }
  }
  return withUnit(scale * value, metric);
}

function withUnit(value: number, { unit }: GateMetric): string {
  return unit === '' ? `${value} nats` : unit === '%' ? `${value} %` : `${value}${unit}`;
}
