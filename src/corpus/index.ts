export {
  type Calibration,
  type CalibrationText,
  MIN_GATE_PREDICTIONS,
  readCalibration,
  type SplitOptions,
  splitCalibration,
} from './calibration.js';
export type { CalibrationSet, SetPassage } from './calibration-set.js';
export { splitDocuments } from './documents.js';
export type { Passage, Protocol, TextPassages, TextSource } from './passage.js';
export { type PassageOptions, readPassages } from './read-passages.js';
export { readTextFile, type TextFile } from './text-file.js';
export { textsOf } from './windows.js';
