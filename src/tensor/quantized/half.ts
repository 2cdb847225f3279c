import { ieeeTable } from '../float-tables.js';

let values: Float32Array | undefined;

/** The float32 value of every half-precision code, made at first use: what blocks keep their scales in. */
export function halfValues(): Float32Array {
  values ??= new Float32Array(ieeeTable(5, 10).buffer);
  return values;
}
