export type { AttentionPart, BlockParts, FeedForwardPart } from './block-parts.js';
export { PlateGraph, plateGraph } from './graph.js';
export { Marks, type MarksJson } from './marks.js';
export {
  PLATE_KINDS,
  type Plate,
  type PlateAddress,
  type PlateKind,
  type PlateRange,
  type PlateSlice,
  parsePlateId,
  plateId,
} from './plate.js';
export {
  countOf,
  holdsIndex,
  type IndexRange,
  mergeRanges,
  remainingRanges,
  subtractRanges,
} from './ranges.js';
export {
  allowedRemoval,
  TARGET_NAMES,
  TARGETS,
  type TargetName,
  type TargetRules,
  widthMultiple,
} from './targets.js';
export { type RemovedSlices, removedSlices, zeroMask, zeroMasks } from './zero-masks.js';
