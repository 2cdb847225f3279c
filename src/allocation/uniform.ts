import type { Allocation } from './allocation.js';

/** The same sparsity everywhere. */
const uniform: Allocation = { kind: 'even' };

export default uniform;
