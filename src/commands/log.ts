import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { count, envOf, stateFlag, writerFlags } from '../cli/flags.js';
import { renderLog } from '../cli/log-report.js';
import type { Log as RunLog } from '../waves/index.js';

export default class Log extends BaseCommand<typeof Log> {
  static override readonly summary = "show an output's history: waves tried, kept and rolled back, rollbacks, tags";
  static override readonly description =
    'Reads the journal of the run that made the output; works while the run is under way. --json gives every record, --picture a drawing.';
  static override readonly writes = 'files';
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
    command: Flags.option({ options: ['prune', 'rollback', 'tag', 'control'] as const })({
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
    picture: Flags.string({
      summary: 'Draw the waves of the run into one file, .svg or .html.',
      helpValue: '<file>',
      env: envOf('picture'),
    }),
    state: stateFlag,
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'The waves of a run', command: '<%= config.bin %> log out/half' },
    {
      description: 'Which waves changed the query projections, and how far',
      command: '<%= config.bin %> log out/half --tensor "*q_proj*"',
    },
    {
      description: 'Accuracy, perplexity and sparsity wave by wave, as a drawing',
      command: '<%= config.bin %> log out/half --picture half.svg',
    },
    {
      description: 'Why each wave was kept or rolled back, for a script',
      command: "<%= config.bin %> log out/half --json | jq -r '.history.waves[].reason'",
    },
  ];

  async run(): Promise<RunLog & { readonly picture?: string }> {
    const { readLog, writeRunPicture } = await import('../waves/index.js');
    const { tensor, command, verdict, since, limit, state, picture } = this.flags;
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
    if (picture === undefined) return log;
    const drawn = await writeRunPicture(log, picture, { dryRun: this.flags['dry-run'] });
    this.log(`\npicture   ${drawn}${this.flags['dry-run'] ? ' (not written)' : ''}`);
    return { ...log, picture: drawn };
  }
}
