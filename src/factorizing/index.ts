export type { RankChoice } from '../lowrank/index.js';
export { factorizeEdit, predictFactors } from './factorize-edit.js';
export type { FactorizedRow } from './factorized-rows.js';
export type { FactorFormat, FactorizeAlgorithm, FactorizeSettings } from './settings.js';
