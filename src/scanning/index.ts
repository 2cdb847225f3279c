export { type Finding, type Level, RULES, type RuleId } from './rules.js';
export { sarifLog } from './sarif.js';
export { type ScanOptions, type ScanReport, scanPaths } from './scan.js';
export type { ScannedFile, ScannedPickle } from './scan-weights.js';
