export { type AdamWOptions, adamWStep, createMoments, gradientNorm, type Moments } from './adamw.js';
export { healEdit } from './heal-edit.js';
export { type Clock, type Healing, type HealingContext, healModel } from './heal-model.js';
export type { HealingRecord } from './history.js';
export { checkChoices, DEFAULT_MINUTES, HEAL_DEFAULTS, type HealChoices } from './settings.js';
export { MEMORY_SHARES } from './train.js';
export { trainer } from './trainer.js';
export type { HealSettings } from './types.js';
