export { type Choice, fitChoices } from './bit-budget.js';
export { packRows, rowBytesOf, unpackRows } from './bit-stream.js';
export { canDecodeRows, decodeRows } from './decode-rows.js';
export { dequantizeMatrix, dequantizeRows } from './dequantize.js';
export { type ElementType, elementsOf } from './elements.js';
export {
  fromParts,
  type PartBytes,
  type PartForm,
  type PartRows,
  type PartSuffix,
  partForms,
  type QuantizedParts,
  rowsFromParts,
  type StoredPart,
  toParts,
} from './parts.js';
export {
  findScales,
  type QuantizeOptions,
  quantizeMatrix,
  type ScaleSearch,
} from './quantize.js';
export type { NestedScales, QuantizedMatrix, Scales } from './quantized-matrix.js';
export { type CodedShape, type Refuse, recordOf, type SchemeRecord, schemeOfRecord } from './record.js';
export { canRoundRows, type RoundedRows, type RoundJob, roundRows } from './round-rows.js';
export { openRowRounder, type RowRounder } from './row-rounder.js';
export {
  describeScheme,
  type FloatFormat,
  type ScaleDtype,
  type Scheme,
  type Strategy,
  schemes,
} from './scheme.js';
export { type SchemeOptions, schemeOf } from './scheme-options.js';
export { type Tiles, tilesOf } from './tiles.js';
