import type { SweepRow } from './sweep.js';
export function recordSweep(_root: string, _rows: readonly SweepRow[]): void {}
