import type { Batch, Finding } from './messages.js';
import { watch } from './watch.js';

/** Mutations that a worker is given at once. */
const BATCH = 20_000;

export interface FuzzOptions {
  readonly format: string;
  readonly seed: number;
  /** Path of the bundled worker. */
  readonly worker: string;
  readonly workers: number;
  /** Number of the first mutation; 0 unless given. */
  readonly from?: number;
  /** How long or how many; whichever comes first. */
  readonly mutations: number;
  readonly milliseconds: number;
  readonly onProgress: (result: FuzzResult) => void;
}

export interface FuzzResult {
  readonly format: string;
  readonly seed: number;
  mutations: number;
  opened: number;
  refused: number;
  crashes: number;
  hangs: number;
  /** Over the allowed memory, or a process that died of it. */
  overMemory: number;
  slowestMilliseconds: number;
  slowestIndex: number;
  peakBytes: number;
  seconds: number;
  readonly findings: (Omit<Finding, 'bytes'> & { readonly bytes?: string })[];
}

/** Mutates one format until time or number is up, in worker processes, and returns what came of it. */
export async function fuzzFormat(options: FuzzOptions): Promise<FuzzResult> {
  const { format, seed, worker, workers, from: first = 0, mutations, milliseconds } = options;
  const result: FuzzResult = {
    ...{ format, seed, mutations: 0, opened: 0, refused: 0, crashes: 0, hangs: 0, overMemory: 0 },
    ...{ slowestMilliseconds: 0, slowestIndex: 0, peakBytes: 0, seconds: 0, findings: [] },
  };
  const start = performance.now();
  let next = first;
  const nextBatch = (): Batch | undefined => {
    if (next >= first + mutations || performance.now() - start > milliseconds) return undefined;
    const from = next;
    next = Math.min(first + mutations, from + BATCH);
    return { from, to: next, careful: false };
  };
  const watched = {
    ...{ worker, format, seed, nextBatch },
    onProgress(progress: Parameters<Parameters<typeof watch>[0]['onProgress']>[0]) {
      result.opened += progress.opened;
      result.refused += progress.refused;
      result.crashes += progress.failed;
      result.mutations += progress.opened + progress.refused + progress.failed;
      result.peakBytes = Math.max(result.peakBytes, progress.peakBytes);
      result.seconds = (performance.now() - start) / 1000;
      if (progress.slowestMilliseconds > result.slowestMilliseconds) {
        result.slowestMilliseconds = progress.slowestMilliseconds;
        result.slowestIndex = progress.slowestIndex;
      }
      options.onProgress(result);
    },
    onFinding(finding: FuzzResult['findings'][number]) {
      if (finding.kind === 'hang') result.hangs += 1;
      else if (finding.kind !== 'crash') result.overMemory += 1;
      if (!result.findings.some(({ signature }) => signature === finding.signature)) result.findings.push(finding);
    },
  };
  await Promise.all(Array.from({ length: workers }, () => watch(watched)));
  return result;
}
