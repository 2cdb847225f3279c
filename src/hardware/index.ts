export { type Advised, adviseFor, type Wish } from './advise-for.js';
export { type Candidate, type Choice, chooseStrategy, type Limits } from './choose.js';
export type { Profile } from './profile.js';
export { OWN_MACHINE, profiles } from './profiles.js';
export { type Bound, overheadOf, type Prediction, predict, type Situation } from './roofline.js';
export { type Strategy, strategies } from './strategy.js';
export { type MachineFigures, measureMachine, profileOfMachine } from './this-machine.js';
export { type WeightUse, workloadOf } from './workload.js';
