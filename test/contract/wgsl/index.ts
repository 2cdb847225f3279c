import { columnSquaresCases } from './column-squares.js';
import type { KernelCases } from './kernel-case.js';

/** The cases of every kernel in `wgslKernels`: one line a kernel. */
export const kernelCases: readonly KernelCases[] = [columnSquaresCases];
