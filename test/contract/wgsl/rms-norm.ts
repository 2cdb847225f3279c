import * as oracle from '../ops-oracle.js';
import { type KernelCase, type KernelCases, random } from './kernel-case.js';

const EPSILON = 1e-5;

/** Rows times `factor`, so that ε decides of some and is lost in others. */
function rmsNorm(rows: number, columns: number, factor = 1): KernelCase {
  const x = random([rows, columns], rows);
  const gain = random([columns], columns);
  const scaled = { ...x, data: x.data.map((value) => value * factor) };
  return {
    name: `[${rows}, ${columns}] times ${factor}`,
    inputs: { x: scaled, gain },
    attributes: { epsilon: EPSILON },
    expected: () => [{ ...oracle.rmsNorm(scaled, gain, EPSILON), tolerance: 1e-6 }],
  };
}

export const rmsNormCases: KernelCases = {
  operation: 'birdbone.RmsNorm',
  cases: [rmsNorm(1, 1), rmsNorm(3, 17), rmsNorm(65, 130, 1e-3), rmsNorm(2, 1028, 1e4)],
};
