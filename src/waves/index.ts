export type { RollbackPlan, RollbackTarget, StateFigures } from './impact.js';
export { type Log, readLog } from './log.js';
export { type Plan, planRun } from './plan.js';
export { planRollback, type RollbackOptions, rollbackTo } from './rollback.js';
export { run } from './run.js';
export type { Schedule } from './schedule.js';
export type { RunOptions, RunResult, WaveRecord } from './settings.js';
export { type OpenedState, type OpenStateOptions, openState } from './states.js';
export { readTags, removeTag, type TagChange, type TagList, type TagOptions, tagState } from './tag.js';
