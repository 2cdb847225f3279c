import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf } from '../cli/flags.js';
import { renderWaves } from '../cli/run-report.js';
import type { Log as RunLog } from '../waves/index.js';

export default class Log extends BaseCommand<typeof Log> {
  static override readonly summary = "show an output's waves: what was tried, kept, rolled back, and why";
  static override readonly description =
    'Reads the journal of the run that made the output; works while the run is under way. --json gives every record.';
  static override readonly args = {
    out: Args.string({ required: true, description: 'output folder of a run' }),
  };
  static override readonly flags = {
    state: Flags.string({
      summary: 'Folder for journal and layers; .birdbone/<name> beside the output by default.',
      helpValue: '<dir>',
      env: envOf('state'),
    }),
  };
  static override readonly examples = [
    { description: 'The waves of a run', command: '<%= config.bin %> log out/half' },
    {
      description: 'Why each wave was kept or rolled back, for a script',
      command: "<%= config.bin %> log out/half --json | jq -r '.history.waves[].reason'",
    },
  ];

  async run(): Promise<RunLog> {
    const { readLog } = await import('../waves/index.js');
    const { state } = this.flags;
    const log = await readLog({ out: this.args.out, ...(state !== undefined && { state }) });
    this.log(render(log));
    return log;
  }
}

function render({ out, state, status, history }: RunLog): string {
  return [
    `output    ${out}`,
    `status    ${status}${history.finished === undefined ? '' : `: ${history.finished.reason}`}`,
    `base      ${history.begin?.base.path ?? 'unknown'}`,
    `state     ${state}`,
    '',
    renderWaves(history.waves, history.baseline?.figures ?? {}),
  ].join('\n');
}
