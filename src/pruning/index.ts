export type { Edit, EditContext, Proposal } from './edit.js';
export { type PruneSettings, pruneEdit } from './prune-edit.js';
export { type LinearSummary, type ScoreContext, scoreModel } from './score-model.js';
