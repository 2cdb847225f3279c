/** What the threads of a process do (see threads/pool.ts): one line for each kind of work. */
import { encodeJob } from './ggml/encode-job.js';
import { hashPiece } from './manifest/digest-piece.js';
import { type RoundJob, roundRows } from './quantization/round-rows.js';
import { serve, workOf } from './threads/serve.js';

serve({
  encode: workOf(encodeJob, (bytes) => [bytes.buffer]),
  hash: workOf(hashPiece),
  // Codes take the place of what they were made of, in memory that both sides have.
  round: workOf(
    (job: RoundJob) => roundRows(job, job.bytes),
    ({ scales, zeroPoints }) => [scales.buffer as ArrayBuffer, ...(zeroPoints ? [zeroPoints.buffer] : [])],
  ),
});
