import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { count, envOf, writerFlags } from '../cli/flags.js';
import { renderRun } from '../cli/run-report.js';
import type { RollbackPlan, RunResult } from '../waves/index.js';

export default class Rollback extends BaseCommand<typeof Rollback> {
  static override readonly summary = 'go back to an earlier wave of a run';
  static override readonly description =
    "Publishes the output again with only the waves up to --to, and takes back none of the run's history: going forward again works until `gc`.";
  static override readonly writes = 'model';
  static override readonly args = {
    out: Args.string({ required: true, description: 'output folder of a run' }),
  };
  static override readonly flags = {
    to: count({ summary: 'The last wave that stays; 0 is the dense model.', min: 0, required: true, env: envOf('to') }),
    state: Flags.string({
      summary: 'Folder for journal and layers; .birdbone/<name> beside the output by default.',
      helpValue: '<dir>',
      env: envOf('state'),
    }),
    diffs: Flags.string({ summary: 'Folder for the diff; diffs by default.', helpValue: '<dir>', env: envOf('diffs') }),
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'Keep the first two waves only', command: '<%= config.bin %> rollback out/half --to 2' },
    { description: 'See what that would change', command: '<%= config.bin %> rollback out/half --to 2 --dry-run' },
  ];

  async run(): Promise<RunResult | RollbackPlan> {
    const { planRollback, rollbackTo } = await import('../waves/index.js');
    const { to, state, diffs } = this.flags;
    const target = { out: this.args.out, to, ...(state !== undefined && { state }) };
    if (this.flags['dry-run']) {
      const plan = await planRollback(target);
      this.log(renderPlan(plan));
      return plan;
    }
    const result = await rollbackTo({
      ...target,
      ...(diffs !== undefined && { diffs }),
      report: this.report,
      signal: this.signal,
    });
    this.log(renderRun(result));
    return result;
  }
}

function renderPlan({ out, stays, goes }: RollbackPlan): string {
  const list = (waves: readonly number[]): string => (waves.length === 0 ? 'none' : waves.join(', '));
  return [
    `output      ${out} (nothing is written yet)`,
    `stay        waves ${list(stays)}`,
    `go          waves ${list(goes)}`,
  ].join('\n');
}
