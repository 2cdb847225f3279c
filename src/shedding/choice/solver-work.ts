import type { Report } from '../../events.js';
import type { Device } from '../../tensor/index.js';

/** Where products are computed, and who is told when a matrix cannot be factored. */
export interface SolverWork {
  readonly device?: Device;
  /** What notices call the matrix. */
  readonly name?: string;
  readonly report?: Report;
}
