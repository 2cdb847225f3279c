import { serve } from '../threads/index.js';
import { type RoundJob, roundRows } from './round-rows.js';

const round = (job: RoundJob) => ({ ...roundRows(job), buffer: job.bytes.buffer as ArrayBuffer });

serve(round, ({ codes, scales, zeroPoints, buffer }) => [
  buffer,
  codes.buffer,
  scales.buffer as ArrayBuffer,
  ...(zeroPoints ? [zeroPoints.buffer] : []),
]);
