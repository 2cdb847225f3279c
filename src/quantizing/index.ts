export { defaultFormat, type Format } from './formats.js';
export { changedTensors, quantizeBlocks } from './quantize-blocks.js';
export { quantizeEdit } from './quantize-edit.js';
export type { QuantizedRow } from './quantized-rows.js';
export type {
  MatrixReport,
  QuantizeContext,
  QuantizedSink,
  QuantizeRules,
  Quantizer,
  QuantizerOptions,
} from './quantizer.js';
export { quantizers } from './quantizers.js';
export type { QuantizeSettings } from './settings.js';
