import { getKernel, type KernelConfig, registerKernel, unregisterKernel } from '@tensorflow/tfjs-core';

/** Puts kernels into tfjs's table, in place of those of the same operation and backend. Returns what puts those back. */
export function replaceKernels(replacements: readonly KernelConfig[]): () => void {
  const originals = replacements.flatMap(({ kernelName, backendName }) => getKernel(kernelName, backendName) ?? []);
  swap(originals, replacements);
  return () => swap(replacements, originals);
}

function swap(from: readonly KernelConfig[], to: readonly KernelConfig[]): void {
  for (const { kernelName, backendName } of from) unregisterKernel(kernelName, backendName);
  for (const kernel of to) registerKernel(kernel);
}
