export { type BootstrapOptions, bootstrapIntervals, type Interval } from './bootstrap.js';
export { type EvaluateOptions, type Evaluation, evaluateModel } from './evaluate.js';
export { type ComparedFigure, type Comparison, compareScores, type Figures, summarize } from './figures.js';
export { defaultGate, type Gate, type GateTerm, isOff, parseGate } from './gate.js';
export type { GateMetric, Relation } from './gate-metrics.js';
export { type Evidence, type JudgedTerm, judge, type Verdict } from './judge.js';
export type { PassageComparison, PassageScore } from './passage-score.js';
export { type Scored, type ScoreOptions, scorePassages } from './score.js';
