export type { CastReport, Conversion, ConvertOptions } from './conversion.js';
export { convert } from './convert.js';
