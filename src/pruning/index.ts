export { calibrationStates } from './calibration-states.js';
export type { Edit, EditContext, Proposal, SettleContext } from './edit.js';
export { inputGroups } from './input-groups.js';
export { type PruneSettings, pruneEdit } from './prune-edit.js';
export { type NamedMetrics, type ScoreContext, type ScoredLinear, scoreModel } from './score-model.js';
export { shedEdit } from './shed-edit.js';
export { refuseWithoutPlates } from './shed-settings.js';
export { type EditCost, solverCost } from './solver-cost.js';
export { vocabularyEdit } from './vocabulary-edit.js';
