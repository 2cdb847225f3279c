export {
  type Certificate,
  type DecomposeOptions,
  type Decomposition,
  lossAt,
  type WeightRows,
} from './decomposition.js';
export {
  breakEvenRank,
  type Factors,
  factorParameters,
  largestUsefulRank,
  rankAtRatio,
  refuseUselessRank,
  type Shape,
} from './factors.js';
