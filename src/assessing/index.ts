export { assess } from './assess.js';
export type { AssessOptions, AssessResult } from './options.js';
