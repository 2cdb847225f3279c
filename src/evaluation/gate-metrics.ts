import type { ComparedFigure, Figures } from './figures.js';

/** A figure that a gate can limit, as the gate's text names it. Larger or smaller is better, and a limit bounds the worse side. */
export interface GateMetric {
  /** The figure of a comparison that the limit is held against. */
  readonly figure: ComparedFigure;
  /** The figure in a sentence. */
  readonly words: string;
  readonly better: 'lower' | 'higher';
  /** What a limit ends in: per cent, times the base, or nothing (nats). */
  readonly unit: '%' | 'x' | '';
  /** As good as it gets: a limit that this does not meet can never be met. */
  readonly best: number;
  /** What the dense model has of it, compared with itself: the room that a limit gives begins here. */
  readonly dense: number;
  /** Whether the base model must run beside the candidate, rather than its scores being enough. */
  readonly needsBaseLogits: boolean;
  /** Figure of either model that it is made of, told in the verdict. */
  readonly of?: keyof Figures & ('accuracy' | 'perplexity');
  readonly example: string;
}

/** A new figure is a row here; it is parsed, judged, explained and listed by that. */
export const GATE_METRICS: Readonly<Record<string, GateMetric>> = {
  accuracy: {
    figure: 'accuracyLoss',
    words: 'accuracy loss',
    better: 'lower',
    unit: '%',
    best: Number.NEGATIVE_INFINITY,
    dense: 0,
    needsBaseLogits: false,
    of: 'accuracy',
    example: 'accuracy<3%',
  },
  perplexity: {
    figure: 'perplexityRatio',
    words: 'perplexity ratio',
    better: 'lower',
    unit: 'x',
    best: 0,
    dense: 1,
    needsBaseLogits: false,
    of: 'perplexity',
    example: 'perplexity<1.1x',
  },
  kl: {
    figure: 'kl',
    words: 'mean KL divergence',
    better: 'lower',
    unit: '',
    best: 0,
    dense: 0,
    needsBaseLogits: true,
    example: 'kl<0.05',
  },
  agreement: {
    figure: 'agreement',
    words: 'same-top-token rate',
    better: 'higher',
    unit: '%',
    best: 1,
    dense: 1,
    needsBaseLogits: true,
    example: 'agreement>95%',
  },
};

export type Relation = '<' | '<=' | '>' | '>=';

/** The relations that bound the worse side of a metric. */
export function relationsOf(metric: GateMetric): readonly Relation[] {
  return metric.better === 'lower' ? ['<', '<='] : ['>', '>='];
}

/** Whether value and limit stand in the relation. Never for NaN; for an infinity neither, which no measurement can be. */
export function holds(value: number, relation: Relation, limit: number): boolean {
  switch (relation) {
    case '<':
      return value < limit;
    case '<=':
      return value <= limit;
    case '>':
      return value > limit;
    case '>=':
      return value >= limit;
  }
}
