import type { Solver } from './solver.js';

/** The weights that stay, stay as they are. */
const none: Solver = { kind: 'mask-only' };

export default none;
