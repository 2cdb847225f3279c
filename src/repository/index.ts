export { type CheckOptions, type CheckReport, checkWeightHashes } from './check.js';
export type { FileFinding, TensorChange } from './compare-file.js';
export { repositoryFindings } from './doctor/findings.js';
export { checkDvcPointers, type DvcFinding, type DvcOptions } from './dvc.js';
export { type GitOptions, type GitResult, git, gitOutput, gitRoot, gitStream } from './git.js';
export { type HookReport, installHook, uninstallHook } from './hooks/index.js';
export { type InitOptions, type InitResult, initRepository, type LfsPlan, planLfs } from './init/index.js';
export { type Scope, scopeOf } from './scope.js';
export { type UpdateOptions, type UpdateReport, updateWeightHashes } from './update.js';
