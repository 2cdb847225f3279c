export { encoderOn } from './device-encoder.js';
export type { EncodeJob } from './encode-job.js';
export { encodeRows, ggmlEncoders, isEncodable } from './encode-rows.js';
export type { EncodableDtype, GgmlEncoder, RowTarget } from './encoder.js';
export {
  chooseTypes,
  fallbackNotices,
  type MixModel,
  type MixTensor,
  mixOf,
  roleOfGguf,
  type TensorRole,
  type TypeChoice,
} from './mix.js';
export { type Mix, mixes } from './mixes.js';
export { openRowEncoder, type RowEncoder } from './row-encoder.js';
