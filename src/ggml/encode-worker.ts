import { serve } from '../threads/index.js';
import { encodeJob } from './encode-job.js';

serve(encodeJob, (bytes) => [bytes.buffer]);
