import { columnSquaresKernel } from './column-squares.js';
import type { WgslKernel } from './kernel.js';

/** Every operation that has a kernel of ours on a GPU; test/contract/wgsl-kernels.test.ts compares each with its definition. */
export const wgslKernels: readonly WgslKernel[] = [columnSquaresKernel];
