export { type InitOptions, type InitResult, initRepository } from './init.js';
export { type HistorySize, type LfsPlan, planLfs } from './lfs-plan.js';
