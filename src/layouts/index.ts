import { registryOf } from '../registry.js';
import type { Layout } from './layout.js';

export type { GptqRun, KvScales, Layout, LayoutExtras, LayoutLimits, QuantizedCheckpoint } from './layout.js';
export { hasQuantizedTensors, readQuantized, saysQuantized } from './read.js';

/** Every layout that quantized matrices can be written in. A new one is a folder here and a line. */
export const layouts = registryOf<Layout>()('layout', {
  'compressed-tensors': () => import('./compressed-tensors/write.js'),
  gptq: () => import('./gptq/write.js'),
  awq: () => import('./awq/write.js'),
});
