import { type GpuResults, isFailed, type JobResult, type WholeJob } from './results.js';

/** Of Mistral-7B. */
const BLOCKS = 32;
/** As the targets have it. */
const WINDOWS = 128;
/** Seconds of GPU time that a whole job may take; RTN goes by the disk. */
export const TARGET_SECONDS: Readonly<Record<string, number>> = { wanda: 90, sparsegpt: 300 };

/**
 * Seconds of each job over 32 blocks and 128 windows, from one block with two numbers of windows: what a block takes in any case, and
 * what each window adds. Reading the embedding and evaluating come on top in a run, once each.
 */
export function wholeJobs({ jobs }: GpuResults['stages']): WholeJob[] {
  if (jobs === undefined || isFailed(jobs)) return [];
  return Object.entries(jobs as Readonly<Record<string, JobResult>>).flatMap(([job, result]) => {
    if (isFailed(result)) return [];
    const targetSeconds = TARGET_SECONDS[job];
    return [{ job, seconds: BLOCKS * secondsPerBlock(result), ...(targetSeconds !== undefined && { targetSeconds }) }];
  });
}

/** The line through two runs, or the one run where text plays no part. */
export function secondsPerBlock({ runs }: JobResult): number {
  const [few, more] = runs;
  if (few === undefined) throw new RangeError('a job that never ran');
  if (more === undefined) return few.seconds;
  // Where a window takes less than what disturbs the clock, two runs may say that it takes less than nothing.
  const perWindow = Math.max(0, more.seconds - few.seconds) / (more.windows - few.windows);
  return few.seconds + perWindow * (WINDOWS - few.windows);
}
