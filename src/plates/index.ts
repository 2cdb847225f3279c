export { marksAt, type RankedRange, shedLevels } from './aggressiveness.js';
export type { AttentionPart, BlockParts, FeedForwardPart } from './block-parts.js';
export { PlateGraph, plateGraph } from './graph.js';
export { LAST_PLATE, protectLast, type StayRule } from './last-plates.js';
export { Marks, type MarksJson } from './marks.js';
export { type MetricRule, metricRule } from './metric-rules.js';
export { type Normalisation, normalise } from './normalise.js';
export { type ChannelActivity, OUTLIER_FACTOR, protectOutliers } from './outliers.js';
export {
  KINDS_IN_BLOCKS,
  KINDS_OF_BLOCKS,
  type Plate,
  type PlateAddress,
  type PlateKind,
  type PlateRange,
  type PlateSlice,
  parsePlateId,
  plateId,
} from './plate.js';
export {
  type BoundaryOptions,
  type Protection,
  type ProtectionReason,
  Protections,
  protectAlways,
  protectBoundary,
} from './protection.js';
export {
  countOf,
  holdsIndex,
  type IndexRange,
  mergeRanges,
  remainingRanges,
  subtractRanges,
} from './ranges.js';
export { groupRedundancy, type Redundancy } from './redundancy.js';
export { ResidualSquares } from './residual-stream.js';
export { type AxisSums, axisSums, plateScores, type ScoreRule } from './score-sums.js';
export {
  allowedRemoval,
  TARGET_NAMES,
  TARGETS,
  type TargetName,
  type TargetRules,
  widthMultiple,
} from './targets.js';
export { type RemovedSlices, removedSlices, zeroMask, zeroMasks } from './zero-masks.js';
