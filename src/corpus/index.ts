export {
  type Calibration,
  type CalibrationText,
  MIN_GATE_PREDICTIONS,
  readCalibration,
  type SplitOptions,
  splitCalibration,
} from './calibration.js';
export type { Passage, Protocol, TextPassages, TextSource } from './passage.js';
export { type PassageOptions, readPassages } from './read-passages.js';
