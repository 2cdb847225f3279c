import type { ClusterSettings, NeuronKind } from '../clustering/index.js';
import type { Report } from '../events.js';
import type { DeviceChoice } from '../tensor/index.js';

/** Which neurons of which model to cluster, how, and into which files. */
export interface GroupOptions extends ClusterSettings {
  /** A model folder or file, or a state of a run: OUT@N. With `overWaves`, a run's output. */
  readonly model: string;
  readonly neurons: NeuronKind;
  /** The file to write, .json or .csv. */
  readonly out: string;
  /** A drawing to write, .html or .svg. */
  readonly picture?: string;
  /** A cluster file to compare with. */
  readonly compare?: string;
  /** Follows the clusters from the dense model through every wave that the output stands on. */
  readonly overWaves?: boolean;
  /** Resamples, and as many seeds, by which stability is measured; none unless given. */
  readonly bootstraps?: number;
  readonly calibration?: { readonly file: string; readonly windows: number; readonly context: number };
  /** Where journals lie, when not beside the outputs. */
  readonly state?: string;
  readonly device?: DeviceChoice;
  readonly threads?: number;
  readonly memoryBytes?: number;
  /** Check everything, write nothing. */
  readonly dryRun?: boolean;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}
