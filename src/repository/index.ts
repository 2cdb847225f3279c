export { type GitOptions, type GitResult, git, gitOutput, gitRoot, gitStream } from './git.js';
export { type InitOptions, type InitResult, initRepository } from './init/index.js';
