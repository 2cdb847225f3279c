import * as oracle from '../ops-oracle.js';
import { type KernelCase, type KernelCases, type Operand, random } from './kernel-case.js';

function swiglu(name: string, gate: Operand): KernelCase {
  const up = random(gate.shape, 10);
  return { name, inputs: { gate, up }, expected: () => [{ ...oracle.swiglu(gate, up), tolerance: 1e-6 }] };
}

export const swigluCases: KernelCases = {
  operation: 'birdbone.Swiglu',
  cases: [
    swiglu('one', random([1, 1], 9)),
    swiglu('[3, 17]', random([3, 17], 9)),
    swiglu('[65, 132], in vectors', random([65, 132], 9)),
    swiglu('far from zero', { data: Float32Array.of(-3e38, -200, -30, 0, -0, 30, 200, 3e38), shape: [1, 8] }),
  ],
};
