export { decompose } from './decompose.js';
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
  productOf,
  rankAtRatio,
  type Shape,
} from './factors.js';
export {
  chooseRanks,
  mostRank,
  needsSpectrum,
  type RankChoice,
  type RankRule,
  ranksOfShapes,
  type Spectrum,
} from './ranks.js';
