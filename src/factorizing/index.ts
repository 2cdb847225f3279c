export type { FactorizedRow } from './factorize-blocks.js';
export { factorizeEdit, settledRanks } from './factorize-edit.js';
export {
  type FactorFormat,
  type FactorizeAlgorithm,
  type FactorizeRules,
  type FactorizeSettings,
  factorizeRules,
} from './settings.js';
export { surveySpectra } from './survey.js';
