import { serve } from '../threads/index.js';
import { type RoundJob, roundRows } from './round-rows.js';

// Codes take the place of what they were made of, in memory that both sides have.
serve(
  (job: RoundJob) => roundRows(job, job.bytes),
  ({ scales, zeroPoints }) => [scales.buffer as ArrayBuffer, ...(zeroPoints ? [zeroPoints.buffer] : [])],
);
