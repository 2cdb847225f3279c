import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { scheduleTable } from '../../scripts/schedule-simulation.js';

it('compares schedules in docs/waves.md as they are (npx tsx scripts/simulate-schedules.ts)', () => {
  expect(readFileSync('docs/waves.md', 'utf8')).toContain(scheduleTable());
});
