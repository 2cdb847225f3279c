export type { DampingOptions, Gram } from './damping.js';
export { leastSquaresFold, type Weight } from './fold.js';
export { type InverseFactor, type InverseOptions, inverseDiagonal, inverseUpperFactor } from './inverse.js';
