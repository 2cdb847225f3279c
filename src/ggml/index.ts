export { encodeRows, ggmlEncoders, isEncodable } from './encode-rows.js';
export type { EncodableDtype, GgmlEncoder, RowTarget } from './encoder.js';
export {
  chooseTypes,
  fallbackNotice,
  type MixModel,
  type MixTensor,
  mixOf,
  roleOfGguf,
  type TensorRole,
  type TypeChoice,
} from './mix.js';
export { type Mix, mixes } from './mixes.js';
