export type { RankChoice } from '../lowrank/index.js';
export type { FactorizedRow } from './factorize-blocks.js';
export { factorizeEdit, predictFactors } from './factorize-edit.js';
export type { FactorFormat, FactorizeAlgorithm, FactorizeSettings } from './settings.js';
