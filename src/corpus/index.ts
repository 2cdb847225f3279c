export {
  type Calibration,
  type CalibrationText,
  MIN_GATE_PREDICTIONS,
  readCalibration,
  type SplitOptions,
  splitCalibration,
} from './calibration.js';
export { type Passage, PROTOCOLS, type Protocol, type TextPassages, type TextSource } from './passage.js';
export { type PassageOptions, readPassages } from './read-passages.js';
