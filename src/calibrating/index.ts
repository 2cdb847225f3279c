export type { RangeCoverage } from './activation-ranges.js';
export { type CalibrateOptions, type CalibrateResult, calibrate } from './calibrate.js';
export type { Choice } from './choose.js';
export { type ComparedSet, type CompareOptions, type CompareResult, compareSets } from './compare.js';
export type { DescribedSource, Description } from './describe.js';
