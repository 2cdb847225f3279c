import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { KINDS, type Kind } from './blows.js';
import { Lane } from './lane.js';
import { recordSweep } from './record.js';
import { SCENARIOS } from './scenarios.js';
import { type SweepRow, sweepScenario } from './sweep.js';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const { values } = parseArgs({
  options: {
    commands: { type: 'string' },
    kinds: { type: 'string', default: KINDS.join() },
    sample: { type: 'string' },
    lanes: { type: 'string', default: '2' },
    record: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});

const commands = values.commands?.split(',');
const chosen = SCENARIOS.filter(
  ({ command, situation }) => (commands?.includes(command) ?? true) && situation.includes(values.only ?? ''),
);
// Memory: what is tested is the order of calls, not the disk.
const home = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'birdbone-sweep-'));
const lanes = await Promise.all(
  Array.from({ length: Number(values.lanes) }, (_, i) => Lane.open(root, path.join(home, `lane-${i}`))),
);
const rows: SweepRow[] = [];
try {
  for (const scenario of chosen) {
    for (const kind of values.kinds.split(',') as Kind[]) {
      if (!(scenario.kinds?.includes(kind) ?? true)) continue;
      const row = await sweepScenario(scenario, lanes, {
        kind,
        ...(values.sample !== undefined && { sample: Number(values.sample) }),
        onTrial: ({ name, fired, failure }) => {
          if (failure !== undefined) console.error(`  ${name}: ${failure}`);
          if (!fired) console.error(`  ${name}: the blow did not fall`);
        },
      });
      rows.push(row);
      // At once: a sweep takes long, and what is done is worth keeping when it is stopped.
      if (values.record) recordSweep(root, [row]);
      console.log(
        `${row.command}, ${row.situation}: ${row.calls} calls, ${row.trials} × ${kind}, ${row.fired} fired, ` +
          `${row.before} before, ${row.after} after, ${row.mixed} some of each, ${row.absent} absent, ${row.unchanged} unchanged, ` +
          `${row.failures.length} failures, ${row.seconds.toFixed(0)} s`,
      );
    }
  }
} finally {
  for (const lane of lanes) await lane.close();
  rmSync(home, { recursive: true, force: true });
}
if (rows.some(({ failures }) => failures.length > 0)) process.exitCode = 1;
