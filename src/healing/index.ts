export { type AdamWOptions, adamWStep, createMoments, gradientNorm, type Moments } from './adamw.js';
export { trainer } from './trainer.js';
