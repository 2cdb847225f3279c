import { formatPercent } from './quantities.js';

/** Something that was done to a run by hand. */
export interface ShownControl {
  readonly action: 'pause' | 'resume' | 'skip' | 'stop';
  readonly wave: number;
  readonly target?: number;
  readonly by: 'request' | 'signal';
}

/** `wave 3 skipped on request, on its way to 40.0 %`, and the like. */
export function controlText({ action, wave, target, by }: ShownControl): string {
  const how = by === 'signal' ? 'by a signal' : 'on request';
  switch (action) {
    case 'pause':
      return `paused at wave ${wave} ${how}`;
    case 'resume':
      return `went on with wave ${wave} ${how}`;
    case 'skip':
      return `wave ${wave} skipped ${how}${target === undefined ? '' : `, on its way to ${formatPercent(target)}`}`;
    case 'stop':
      return `stopped before wave ${wave} ${how}`;
  }
}
