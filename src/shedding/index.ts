export {
  type Allotment,
  blockParameters,
  emptyAllotment,
  evenFraction,
  roundedRemoval,
  type Share,
  type Stock,
  sparsityOf,
  stocksOf,
  uniformAllotment,
  type WidthKind,
} from './budget/allotment.js';
export { nearestKept, type Target, widthStep } from './budget/steps.js';
export { adaptiveAllotment, type Curve, targetedAllotment } from './budget/uneven.js';
export { checkTarget, type SheddingPattern } from './check-target.js';
export { type ColumnSets, type Compensation, type Removal, removalOrder } from './choice/column-sets.js';
export { type InputStatistics, judgedBy } from './choice/input-statistics.js';
export { cutModel, refuseUncuttable } from './cut/cut-model.js';
export { type DepthBudget, depthBudget, loadsWithout } from './depth/depth-budget.js';
export { type DepthContest, searchDepth } from './depth/search.js';
export { biasOfColumns } from './fold/bias-of-columns.js';
export { foldColumns } from './fold/fold-columns.js';
export { readWeight, storedWeight } from './fold/linear-weight.js';
