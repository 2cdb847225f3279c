/**
 * What long work tells the outside while it runs. Producers call a `Report`; the command line draws progress from it and
 * `--events FILE|-` writes each event as one JSON line for other programs.
 */
export type Event =
  /** `done` of `total` units (windows, tensors, bytes) of the named stage. */
  | {
      readonly type: 'progress';
      readonly stage: string;
      readonly done: number;
      readonly total: number;
      readonly unit: string;
    }
  | { readonly type: 'notice'; readonly message: string }
  | { readonly type: 'baseline'; readonly figures: Readonly<Record<string, number>> }
  | {
      readonly type: 'wave';
      readonly wave: number;
      readonly verdict: 'committed' | 'rolled-back';
      readonly sparsity: number;
      readonly figures: Readonly<Record<string, number>>;
      readonly reason: string;
      /** What the step has to say of its matrices, by what was done to them. */
      readonly details?: Readonly<Record<string, readonly object[]>> | undefined;
    }
  /** Something that was done to a run by hand; of `skip` with the wave's step and the sparsity that it went for. */
  | {
      readonly type: 'control';
      readonly action: 'pause' | 'resume' | 'skip' | 'stop';
      readonly wave: number;
      readonly step?: number;
      readonly target?: number;
      readonly by: 'request' | 'signal';
    }
  | { readonly type: 'published'; readonly path: string };

/** Takes the events of long work as they happen. */
export type Report = (event: Event) => void;

/** A report that goes nowhere. */
export const silent: Report = () => {};
