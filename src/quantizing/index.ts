import { registryOf } from '../registry.js';
import type { Quantizer } from './quantizer.js';

export { changedTensors, quantizeBlocks } from './quantize-blocks.js';
export type {
  MatrixReport,
  QuantizeContext,
  QuantizedSink,
  QuantizeRules,
  Quantizer,
  QuantizerOptions,
} from './quantizer.js';

/** `--algorithm`: how a matrix's codes are found. */
export const quantizers = registryOf<Quantizer>()('algorithm', {
  rtn: () => import('./rtn.js'),
  hqq: () => import('./hqq.js'),
  gptq: () => import('./gptq.js'),
});
