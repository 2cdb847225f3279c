import { schemeCoding } from './scheme-coding.js';

/** Codes that stand for the levels of a table, as NF4. */
export default schemeCoding('codebook');
