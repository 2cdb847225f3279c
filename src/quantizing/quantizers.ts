import { registryOf } from '../registry.js';
import type { Quantizer } from './quantizer.js';

/** `--algorithm`: how a matrix's codes are found. */
export const quantizers = registryOf<Quantizer>()('algorithm', {
  rtn: () => import('./rtn.js'),
  hqq: () => import('./hqq.js'),
  gptq: () => import('./gptq.js'),
  awq: () => import('./awq.js'),
  smoothquant: () => import('./smoothquant.js'),
});
