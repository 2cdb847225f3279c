import { schemeCoding } from './scheme-coding.js';

/** Integers of 2 to 8 bits, with or without zero points. */
export default schemeCoding('integer');
