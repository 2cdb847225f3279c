export { checkDvcPointers, type DvcFinding, type DvcOptions } from './dvc.js';
export { type GitOptions, type GitResult, git, gitOutput, gitRoot, gitStream } from './git.js';
export { type InitOptions, type InitResult, initRepository, type LfsPlan, planLfs } from './init/index.js';
