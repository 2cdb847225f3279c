export { type ScoreOptions, type ScoreResult, score } from './score.js';
export type { ScoreHeader } from './score-file.js';
