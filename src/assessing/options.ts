import type { Damage, HealingTask } from '../damage/index.js';
import type { Report } from '../events.js';
import type { DeviceChoice } from '../tensor/index.js';

/** What the `damage` command is asked for. */
export interface AssessOptions {
  /** The compressed model: a folder or file, or a state of a run: OUT@N. */
  readonly model: string;
  /** The dense model, as a folder or file; of a state of a run the run's own base unless given. */
  readonly base?: string;
  readonly calibration: { readonly file: string; readonly windows: number; readonly context: number };
  /** A file of clusters of output rows, as `cluster` writes it. */
  readonly clusters?: string;
  /** A .json or .csv file for everything. */
  readonly out?: string;
  /** An .svg or .html file. */
  readonly picture?: string;
  /** Check everything, compute and write nothing. */
  readonly dryRun?: boolean;
  /** Where journals lie, when not beside the outputs. */
  readonly state?: string;
  readonly device?: DeviceChoice;
  readonly threads?: number;
  readonly memoryBytes?: number;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** Which models were compared on what. */
export interface AssessHeader {
  /** Last components of paths: the same models give the same file wherever they lie. */
  readonly model: string;
  readonly base: string;
  readonly text: {
    readonly name: string;
    readonly sha256: string;
    readonly windows: number;
    readonly context: number;
  };
}

export interface AssessResult extends AssessHeader {
  /** Absent with `dryRun`. */
  readonly damage?: Damage;
  readonly queue?: readonly HealingTask[];
  readonly out?: string;
  readonly picture?: string;
}
