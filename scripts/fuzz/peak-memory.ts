import { writeFileSync } from 'node:fs';

/** The most memory that this process has had resident since the last `forgetPeak`. */
export function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}

/** Lets the peak begin again at what is resident now. Linux (proc(5), clear_refs) alone; elsewhere the peak only grows. */
export function forgetPeak(): void {
  if (process.platform === 'linux') writeFileSync('/proc/self/clear_refs', '5');
}
