import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { count, envOf, stateFlag } from '../cli/flags.js';
import { renderLog } from '../cli/log-report.js';
import type { Log as RunLog } from '../waves/index.js';

export default class Log extends BaseCommand<typeof Log> {
  static override readonly summary = "show an output's history: waves tried, kept and rolled back, rollbacks, tags";
  static override readonly description =
    'Reads the journal of the run that made the output; works while the run is under way. --json gives every record.';
  static override readonly args = {
    out: Args.string({ required: true, description: 'output folder of a run' }),
  };
  static override readonly flags = {
    tensor: Flags.string({
      summary: 'Only what changed tensors whose names match, and how; may be repeated.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<glob>',
      env: envOf('tensor'),
    }),
    command: Flags.option({ options: ['prune', 'rollback', 'tag'] as const })({
      summary: 'Only what this command did.',
      env: envOf('command'),
    }),
    verdict: Flags.option({ options: ['committed', 'rolled-back'] as const })({
      summary: 'Only waves with this verdict of the gate.',
      env: envOf('verdict'),
    }),
    since: Flags.string({
      summary: 'Only what was recorded then or later, such as 2026-11-21.',
      helpValue: '<date>',
      env: envOf('since'),
    }),
    limit: count({ summary: 'Only the last so many.', env: envOf('limit') }),
    state: stateFlag,
  };
  static override readonly examples = [
    { description: 'The waves of a run', command: '<%= config.bin %> log out/half' },
    {
      description: 'Which waves changed the query projections, and how far',
      command: '<%= config.bin %> log out/half --tensor "*q_proj*"',
    },
    {
      description: 'Why each wave was kept or rolled back, for a script',
      command: "<%= config.bin %> log out/half --json | jq -r '.history.waves[].reason'",
    },
  ];

  async run(): Promise<RunLog> {
    const { readLog } = await import('../waves/index.js');
    const { tensor, command, verdict, since, limit, state } = this.flags;
    const log = await readLog({
      out: this.args.out,
      ...(tensor !== undefined && { tensors: tensor }),
      ...(command !== undefined && { command }),
      ...(verdict !== undefined && { verdict }),
      ...(since !== undefined && { since }),
      ...(limit !== undefined && { limit }),
      ...(state !== undefined && { state }),
    });
    this.log(renderLog(log, { byTensor: tensor !== undefined }));
    return log;
  }
}
