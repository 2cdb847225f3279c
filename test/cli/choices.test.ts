import { describe, expect, it } from 'vitest';
import { globalFlags } from '../../src/cli/flags.js';
import { dataFlags } from '../../src/cli/recipe-flags.js';
import Prune from '../../src/commands/prune.js';
import Score from '../../src/commands/score.js';
import { PROTOCOLS } from '../../src/corpus/index.js';
import { metrics } from '../../src/importance/index.js';
import { COMPARISONS, patterns } from '../../src/sparsity/index.js';
import { DEVICE_NAMES } from '../../src/tensor/index.js';
import { SCHEDULES } from '../../src/waves/index.js';

// Command files load nothing of the engine before they run, so their flags spell out what the engine has.
describe('the choices that flags name', () => {
  it.each([
    ['--device', globalFlags.device.options, ['auto', ...DEVICE_NAMES]],
    ['--protocol', dataFlags.protocol.options, PROTOCOLS],
    ['--compare', Prune.flags.compare.options, COMPARISONS],
    ['--schedule', Prune.flags.schedule.options, SCHEDULES],
  ])('%s are those of the engine', (_flag, options, known) => {
    expect([...(options ?? [])].sort()).toEqual([...known].sort());
  });

  it.each([
    ['prune --metric', Prune.flags.metric.summary, metrics.names],
    ['score --metric', Score.flags.metric.summary, metrics.names],
    ['prune --pattern', Prune.flags.pattern.summary, patterns.names],
  ])('%s mentions every one that is registered', (_flag, summary, names) => {
    for (const name of names) expect(summary).toContain(name);
  });
});
