import type { Allocation } from './allocation.js';

/** Thresholds for clusters of rows: found by src/thresholds, which knows more than a matrix's name. */
const cluster: Allocation = { kind: 'clustered' };

export default cluster;
