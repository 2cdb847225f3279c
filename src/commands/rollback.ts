import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { confirm } from '../cli/confirm.js';
import { envOf, stateFlag, writerFlags } from '../cli/flags.js';
import { printable } from '../cli/printable.js';
import { renderRollback } from '../cli/rollback-report.js';
import { renderRun } from '../cli/run-report.js';
import type { RollbackPlan, RunResult } from '../waves/index.js';

export default class Rollback extends BaseCommand<typeof Rollback> {
  static override readonly summary = 'go back to an earlier wave of a run, with all tensors or some';
  static override readonly description = [
    "Publishes the output again as it was after the wave --to, and takes back none of the run's history: going forward again works until `gc`.",
    'With --tensors only the tensors whose names match go there, and the others stay where they are.',
    'Shows what would change and asks; a script says --yes.',
    'Works without the base model too, as long as the published output is intact: the layers are taken back from it.',
  ].join('\n');
  static override readonly writes = 'model';
  static override readonly args = {
    out: Args.string({ required: true, description: 'output folder of a run' }),
  };
  static override readonly flags = {
    to: Flags.string({
      summary: 'The last wave that stays, as its number or a tag; 0 or dense is the dense model.',
      required: true,
      helpValue: '<n>|<tag>',
      env: envOf('to'),
    }),
    tensors: Flags.string({
      summary: 'Only tensors whose names match, such as "*.mlp.*" or "*layers.{0..3}.*"; may be repeated.',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<glob>',
      env: envOf('tensors'),
    }),
    measure: Flags.boolean({
      summary: "Measure a mix of waves on the run's own text first, and record the figures.",
      env: envOf('measure'),
    }),
    yes: Flags.boolean({ char: 'y', summary: 'Do not ask.', env: envOf('yes') }),
    state: stateFlag,
    diffs: Flags.string({ summary: 'Folder for the diff; diffs by default.', helpValue: '<dir>', env: envOf('diffs') }),
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'Keep the first two waves only', command: '<%= config.bin %> rollback out/half --to 2 --yes' },
    { description: 'See what that would change', command: '<%= config.bin %> rollback out/half --to 2 --dry-run' },
    {
      description: 'Give the feed-forward matrices back what wave 2 took, and ask first',
      command: '<%= config.bin %> rollback out/half --to 1 --tensors "*.mlp.*"',
    },
  ];

  async run(): Promise<RollbackPlan | (RunResult & { readonly impact: RollbackPlan })> {
    const { planRollback, rollbackTo } = await import('../waves/index.js');
    const { to, tensors, state, diffs, yes } = this.flags;
    const target = { out: this.args.out, to, ...(tensors && { tensors }), ...(state !== undefined && { state }) };
    const watch = { report: this.report, signal: this.signal };
    const measure = { device: this.flags.device, ...this.deviceOptions, ...watch };
    const impact = await planRollback({ ...target, ...(this.flags.measure && { measure }) });
    const shown = renderRollback(impact);
    if (this.flags['dry-run']) {
      this.log(`${shown}\n(nothing is written yet)`);
      return impact;
    }
    if (yes) {
      this.log(`${shown}\n`);
    } else {
      const mayAsk = !this.jsonEnabled();
      await confirm({ impact: printable(shown), question: 'Go there?', mayAsk, signal: this.signal });
    }
    const { from, target: agreed, measured } = impact;
    const where = diffs === undefined ? {} : { diffs };
    const result = await rollbackTo({
      ...target,
      ...where,
      from,
      target: agreed,
      ...(measured && { measured }),
      ...watch,
    });
    this.log(renderRun(result));
    return { ...result, impact };
  }
}
