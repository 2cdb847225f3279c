export { type GitOptions, type GitResult, git, gitOutput, gitRoot, gitStream } from './git.js';
