export { add, type CastTarget, type CastView, castView } from './cast.js';
export { type CastCounts, noCounts } from './cast-values.js';
export type { DecoderNumbers } from './config-to-gguf.js';
export { dequantized } from './dequantized.js';
export { asGguf, type GgufView } from './gguf-view.js';
export { asHuggingFace, type HuggingFaceView, tokenizerOf, tokenizerOfMetadata } from './hugging-face.js';
export type { TokenizerDefinition } from './tokenizer/definition.js';
export { tokenizerToGguf } from './tokenizer/to-gguf.js';
export { TORCH_DTYPES } from './torch-dtype.js';
