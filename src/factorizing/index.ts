export type { RankChoice } from '../lowrank/index.js';
export {
  ADAPTER_CONFIG,
  ADAPTER_WEIGHTS,
  type AdapterPlan,
  adapterConfig,
  adapterNames,
  adapterPlan,
  adapterTensors,
  withAdapter,
} from './adapter.js';
export { type Correction, correctBlocks } from './correct-blocks.js';
export { factorizeEdit, predictFactors } from './factorize-edit.js';
export type { FactorizedRow } from './factorized-rows.js';
export type { FactorFormat, FactorizeAlgorithm, FactorizeSettings } from './settings.js';
