export {
  type ChunkOfSums,
  ChunkSums,
  isWholeChunks,
  type KnownDifferences,
  rowsOfWholeChunks,
  type WalkedElements,
} from './chunk-sums.js';
export { CHUNK_ELEMENTS, sharedMemory } from './pair-sums-kernel.js';
export { sumPairs } from './sum-pairs.js';
export { mergeSums, NO_SUMS, type StoredValues, type ValueSums } from './value-sums.js';
export { elementBytes, hasValues } from './values.js';
