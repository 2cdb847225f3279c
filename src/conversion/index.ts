export type { CastReport, Conversion, ConvertOptions } from './conversion.js';
export { convert } from './convert.js';
export { type ModelGguf, modelAsGguf } from './model-gguf.js';
export { type GgufContent, ggufBytes, writeGguf } from './write-gguf.js';
