import { serve } from '../threads/index.js';
import { roundRows } from './round-rows.js';

serve(roundRows, ({ codes, scales, zeroPoints }) => [
  codes.buffer,
  scales.buffer as ArrayBuffer,
  ...(zeroPoints ? [zeroPoints.buffer] : []),
]);
