import * as Args from '@oclif/core/args';
import { BaseCommand } from '../cli/base-command.js';
import { renderControl } from '../cli/control-report.js';
import { duration, envOf, stateFlag, writerFlags } from '../cli/flags.js';
import type { ControlResult } from '../waves/index.js';

export default class Control extends BaseCommand<typeof Control> {
  static override readonly summary =
    'pause, continue or stop a run that is under way, skip its wave, or see what it is at';
  static override readonly description = [
    'pause holds the run at its next block, and resume lets it go on; what comes out is the same as without.',
    'skip drops the wave that is being made and tries half its step. stop ends the run after its wave, and publishes what was kept.',
    'Skips and stops are in the journal, so that a run that is killed and resumed comes to the same end.',
    'SIGUSR2 to the process pauses too, and ends the pause; Ctrl-C interrupts, and --resume goes on.',
  ].join('\n');
  static override readonly writes = 'files';
  static override readonly args = {
    out: Args.string({ required: true, description: 'output folder of a run' }),
    action: Args.string({
      options: ['status', 'pause', 'resume', 'skip', 'stop'],
      default: 'status',
      description: 'what to ask of the run',
    }),
  };
  static override readonly flags = {
    wait: duration({
      summary: 'How long to wait until the run has taken the request; 10s by default.',
      env: envOf('wait'),
    }),
    state: stateFlag,
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'What a run is at', command: '<%= config.bin %> control out/half' },
    {
      description: 'Give the machine to somebody else for a while',
      command: '<%= config.bin %> control out/half pause',
    },
    {
      description: 'Be content with what was kept so far',
      command: '<%= config.bin %> control out/half stop',
    },
  ];

  async run(): Promise<ControlResult> {
    const { controlRun } = await import('../waves/index.js');
    const { state, wait } = this.flags;
    const result = await controlRun({
      out: this.args.out,
      action: this.args.action as ControlResult['action'],
      dryRun: this.flags['dry-run'] ?? false,
      signal: this.signal,
      ...(state !== undefined && { state }),
      ...(wait !== undefined && { waitSeconds: wait }),
    });
    this.log(renderControl(result));
    return result;
  }
}
