import { schemeCoding } from './scheme-coding.js';

/** Floats of 8 bits. */
export default schemeCoding('float8');
